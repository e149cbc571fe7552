#include "queues/amqp/lost_deliveries.hpp"

#include "protocol/json.hpp"

#include <functional>
#include <map>
#include <string_view>
#include <vector>

namespace celeriac::amqp {
namespace {

void append_sorted(const Json& object, std::string& out) {
  std::map<std::string_view, const Json*> sorted;
  for (const auto& [name, value] : object.items())
    if (name.rfind("x-", 0) != 0) sorted[name] = &value;
  for (const auto& [name, value] : sorted) {
    out.append(name) += '=';
    if (value->is_object())
      append_sorted(*value, out);
    else
      dump_json(*value, out);
    out += ';';
  }
}

}  // namespace

// Servers add headers on the way (x-delivery-count, x-death) and may sort them; that makes no other message.
LostDeliveries::Key LostDeliveries::key_of(const Message& message) {
  std::string head = message.properties.correlation_id + '\0';
  if (const auto headers = parse_json(message.headers); headers && headers->is_object())
    append_sorted(*headers, head);
  else
    head += message.headers;
  const std::hash<std::string_view> hash;
  return {hash(head), hash(message.body)};
}

void LostDeliveries::add(Tag tag, const Message& message, std::optional<Verdict> verdict) {
  const Key key = key_of(message);
  if (verdict) ++decided_;
  entries_[tag] = {key, std::move(verdict)};
  by_content_.emplace(key, tag);
  order_.push_back(tag);
  for (; order_.size() > most_; order_.pop_front()) erase(order_.front());
}

bool LostDeliveries::decide(Tag tag, Verdict verdict) {
  const auto found = entries_.find(tag);
  if (found == entries_.end()) return false;
  if (!found->second.verdict) ++decided_;
  found->second.verdict = std::move(verdict);
  return true;
}

void LostDeliveries::forget(Tag tag) { erase(tag); }

LostDeliveries::Return LostDeliveries::returned(const Message& message) {
  if (entries_.empty()) return {};
  const auto [begin, end] = by_content_.equal_range(key_of(message));
  if (begin == end) return {};
  auto chosen = begin;
  for (auto it = begin; it != end; ++it)
    if (entries_.at(it->second).verdict) chosen = it;
  const Tag tag = chosen->second;
  auto verdict = std::move(entries_.at(tag).verdict);
  if (verdict) --decided_;
  entries_.erase(tag);
  by_content_.erase(chosen);
  if (entries_.empty()) order_.clear();
  return {true, std::move(verdict)};
}

void LostDeliveries::erase(Tag tag) {
  const auto found = entries_.find(tag);
  if (found == entries_.end()) return;
  const auto [begin, end] = by_content_.equal_range(found->second.key);
  for (auto it = begin; it != end; ++it)
    if (it->second == tag) {
      by_content_.erase(it);
      break;
    }
  if (found->second.verdict) --decided_;
  entries_.erase(found);
}

void LostDeliveries::forget_decided() {
  std::vector<Tag> tags;
  for (const auto& [tag, entry] : entries_)
    if (entry.verdict) tags.push_back(tag);
  for (const Tag tag : tags) erase(tag);
}

}  // namespace celeriac::amqp
