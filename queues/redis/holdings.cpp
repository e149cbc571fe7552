#include "queues/redis/holdings.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>

namespace celeriac::redis {
namespace {

constexpr std::size_t most_per_command = 1000;

}  // namespace

std::string score_text(Clock::time_point time) {
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
  char text[40];
  const int size = std::snprintf(text, sizeof text, "%lld.%06lld", static_cast<long long>(micros / 1000000),
                                 static_cast<long long>(std::max<std::int64_t>(micros % 1000000, 0)));
  return std::string(text, static_cast<std::size_t>(size));
}

std::string Holdings::field(Tag tag) const {
  std::string text;
  text.reserve(owner_.size() + 21);
  text += owner_;
  char digits[21];
  digits[0] = ':';
  text.append(digits, std::to_chars(digits + 1, digits + sizeof digits, tag).ptr);
  return text;
}

std::optional<Holdings::Held> Holdings::release(Tag tag) {
  auto found = held_.find(tag);
  if (found == held_.end()) return std::nullopt;
  std::optional<Held> released(std::move(found->second));
  held_.erase(found);
  return released;
}

std::vector<Tag> Holdings::tags() const {
  std::vector<Tag> tags;
  tags.reserve(held_.size());
  for (auto& [tag, held] : held_) tags.push_back(tag);
  return tags;
}

void Holdings::acked(Tag tag, const Held& held) {
  acked_.push_back(tag);
  if (held.unreadable) acked_unreadable_.push_back(tag);
}

void Holdings::add_removal(Request& request, std::string_view command, std::string_view key,
                           const std::vector<Tag>& tags) {
  for (std::size_t at = 0; at < tags.size(); at += most_per_command) {
    const auto count = std::min(most_per_command, tags.size() - at);
    request.begin(2 + count).arg(command).arg(key);
    for (std::size_t i = 0; i < count; ++i) request.arg(field(tags[at + i]));
  }
}

Request Holdings::settle() {
  Request request;
  // The hash first: an index entry left alone is cleared by any sweep, a hash entry never.
  add_removal(request, "HDEL", keys_.unacked, acked_);
  add_removal(request, "HDEL", keys_.unreadable, acked_unreadable_);
  add_removal(request, "ZREM", keys_.unacked_index, acked_);
  acked_.clear();
  acked_unreadable_.clear();
  for (std::size_t at = 0; at < deferred_.size(); at += most_per_command) {
    const auto count = std::min(most_per_command, deferred_.size() - at);
    request.begin(3 + 2 * count).arg("ZADD").arg(keys_.unacked_index).arg("XX");
    for (std::size_t i = 0; i < count; ++i)
      request.arg(score_text(deferred_[at + i].second)).arg(field(deferred_[at + i].first));
  }
  deferred_.clear();
  return request;
}

Request Holdings::renew(const std::vector<Tag>& tags, Clock::time_point now) const {
  Request request;
  const auto score = score_text(now);
  for (std::size_t at = 0; at < tags.size(); at += most_per_command) {
    const auto count = std::min(most_per_command, tags.size() - at);
    request.begin(3 + 2 * count).arg("ZADD").arg(keys_.unacked_index).arg("XX");
    for (std::size_t i = 0; i < count; ++i) request.arg(score).arg(field(tags[at + i]));
  }
  return request;
}

}  // namespace celeriac::redis
