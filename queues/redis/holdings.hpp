// The messages in our hands: unsettled ones, and what became of them that the server has not been
// told yet. One request per turn of the loop tells it all. Knows the names of our fields.
#pragma once

#include "queues/broker.hpp"
#include "queues/redis/keys.hpp"
#include "queues/redis/request.hpp"

#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace celeriac::redis {

class Holdings {
 public:
  Holdings(const Keys& keys, std::string owner) : keys_(keys), owner_(std::move(owner)) {}

  struct Held {
    std::string queue;
    bool unreadable = false;
  };

  std::string field(Tag tag) const;

  void hold(Tag tag, Held held) { held_.insert_or_assign(tag, std::move(held)); }
  std::size_t size() const { return held_.size(); }
  bool holds(Tag tag) const { return held_.count(tag) != 0; }
  // Empty when the tag is not held (settled before, or taken from us).
  std::optional<Held> release(Tag tag);
  std::vector<Tag> tags() const;

  void acked(Tag tag, const Held& held);
  void deferred(Tag tag, Clock::time_point due) { deferred_.emplace_back(tag, due); }

  std::size_t settled() const { return acked_.size() + deferred_.size(); }
  // What acked() and deferred() gathered, as commands. Each is harmless when repeated.
  Request settle();
  // Makes `now` the score of these tags, where they still are in unacked_index.
  Request renew(const std::vector<Tag>& tags, Clock::time_point now) const;

 private:
  void add_removal(Request& request, std::string_view command, std::string_view key,
                   const std::vector<Tag>& tags);

  const Keys& keys_;
  std::string owner_;
  std::unordered_map<Tag, Held> held_;
  std::vector<Tag> acked_, acked_unreadable_;
  std::vector<std::pair<Tag, Clock::time_point>> deferred_;
};

// kombu's score: Unix seconds with a fraction.
std::string score_text(Clock::time_point time);

}  // namespace celeriac::redis
