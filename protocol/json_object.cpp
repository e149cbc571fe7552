#include "protocol/json_object.hpp"

#include <algorithm>
#include <cstdint>
#include <numeric>

namespace celeriac {
namespace {

// Few keys are compared pairwise; many are sorted, which no choice of keys can make slow.
void drop_repeated(Members& members, std::size_t base) {
  const std::size_t count = members.size() - base;
  if (count < 2) return;
  std::vector<std::uint32_t> dropped;
  if (count <= 12) {
    for (std::size_t i = base + 1; i < members.size(); ++i) {
      for (std::size_t j = base; j < i; ++j) {
        if (members[i].first != members[j].first) continue;
        members[j].second = std::move(members[i].second);
        dropped.push_back(static_cast<std::uint32_t>(i - base));
        break;
      }
    }
  } else {
    std::vector<std::uint32_t> order(count);
    std::iota(order.begin(), order.end(), 0u);
    const auto name = [&](std::uint32_t i) -> const std::string& { return members[base + i].first; };
    std::sort(order.begin(), order.end(), [&](auto a, auto b) {
      const int c = name(a).compare(name(b));
      return c != 0 ? c < 0 : a < b;
    });
    for (std::size_t i = 0, first = 0; i < count; ++i) {
      if (name(order[i]) != name(order[first])) first = i;
      if (i == first) continue;
      members[base + order[first]].second = std::move(members[base + order[i]].second);
      dropped.push_back(order[i]);
    }
    std::sort(dropped.begin(), dropped.end());
  }
  if (dropped.empty()) return;
  std::size_t to = base, next = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (next < dropped.size() && dropped[next] == i) {
      ++next;
      continue;
    }
    if (to != base + i) members[to] = std::move(members[base + i]);
    ++to;
  }
  members.resize(to);
}

}  // namespace

Json take_object(Members& members, std::size_t base) {
  drop_repeated(members, base);
  Json value = Json::object();
  auto& object = value.get_ref<Json::object_t&>();
  object.reserve(members.size() - base);
  for (std::size_t i = base; i < members.size(); ++i) {
    object.emplace_back(std::move(members[i].first), std::move(members[i].second));
  }
  members.resize(base);
  return value;
}

}  // namespace celeriac
