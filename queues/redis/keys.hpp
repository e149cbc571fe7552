// Every name we use in Redis, in one place: kombu's, byte for byte, and our own (all
// of which begin with "celeriac."). global_keyprefix goes before each. docs/redis.md
// describes what the keys hold.
#pragma once

#include "config/settings.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace celeriac::redis {

class Keys {
 public:
  explicit Keys(const RedisOptions& options);

  // The list of one priority step: the bare queue name for step 0.
  std::string list(std::string_view queue, int step) const;
  // The list where a message of this priority belongs. kombu's rule: the greatest step not
  // above the priority, which is clamped to 0..9.
  std::string list_for_priority(std::string_view queue, int priority) const;
  const std::vector<int>& steps() const { return steps_; }  // ascending

  std::string binding(std::string_view exchange) const;
  // A member of binding(): <routing key> SEP <pattern> SEP <queue>.
  std::string binding_member(std::string_view queue) const;
  std::string binding_member(std::string_view routing_key, std::string_view queue) const;
  // The channel of a fanout exchange: kombu's default fanout_prefix and fanout_patterns.
  std::string channel(int db, std::string_view exchange, std::string_view routing_key) const;
  const std::string& separator() const { return separator_; }

  std::string lease(std::string_view owner) const { return lease_prefix + std::string(owner); }
  std::string taken(std::string_view owner) const { return prefix + "celeriac.taken." + std::string(owner); }
  std::string beat(std::string_view schedule) const {
    return prefix + "celeriac.beat." + std::string(schedule);
  }
  std::string dead_of_queue(std::string_view queue) const { return dead + ".queue." + std::string(queue); }
  std::string dead_letter(std::string_view id) const { return dead + ".letter." + std::string(id); }

  const std::string prefix;
  const std::string unacked, unacked_index, unacked_mutex;
  const std::string unreadable;    // hash: field of `unacked` -> bytes that are no JSON object
  const std::string owners;        // set of the owners that may hold messages
  const std::string lease_prefix;  // string with a TTL per owner
  const std::string dead;          // zset: dead letter -> time

 private:
  std::vector<int> steps_;
  std::string separator_;
};

// ["*", "", "queue"] without its first element: what follows the envelope in `unacked`.
std::string unacked_tail(std::string_view queue);

}  // namespace celeriac::redis
