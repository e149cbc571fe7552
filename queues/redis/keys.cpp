#include "queues/redis/keys.hpp"

#include "protocol/json.hpp"

#include <algorithm>

namespace celeriac::redis {

Keys::Keys(const RedisOptions& options)
    : prefix(options.global_keyprefix),
      unacked(prefix + options.unacked_key),
      unacked_index(prefix + options.unacked_index_key),
      unacked_mutex(prefix + options.unacked_mutex_key),
      unreadable(prefix + "celeriac.unreadable"),
      owners(prefix + "celeriac.owners"),
      lease_prefix(prefix + "celeriac.lease."),
      dead(prefix + "celeriac.dead"),
      steps_(options.priority_steps),
      separator_(options.sep) {
  std::sort(steps_.begin(), steps_.end());
  if (steps_.empty()) steps_.push_back(0);
}

std::string Keys::list(std::string_view queue, int step) const {
  std::string key = prefix;
  key += queue;
  if (step != 0) key += separator_ + std::to_string(step);
  return key;
}

std::string Keys::list_for_priority(std::string_view queue, int priority) const {
  priority = std::clamp(priority, 0, 9);
  auto above = std::upper_bound(steps_.begin(), steps_.end(), priority);
  return list(queue, above == steps_.begin() ? steps_.front() : *(above - 1));
}

std::string Keys::binding(std::string_view exchange) const {
  return prefix + "_kombu.binding." + std::string(exchange);
}

std::string Keys::binding_member(std::string_view queue) const { return binding_member(queue, queue); }

std::string Keys::binding_member(std::string_view routing_key, std::string_view queue) const {
  return std::string(routing_key) + separator_ + separator_ + std::string(queue);
}

std::string Keys::channel(int db, std::string_view exchange, std::string_view routing_key) const {
  std::string name = prefix + "/" + std::to_string(db) + "." + std::string(exchange);
  if (!routing_key.empty()) name += "/" + std::string(routing_key);
  return name;
}

std::string unacked_tail(std::string_view queue) {
  std::string tail = ", \"\", ";
  dump_json_string(queue, tail);
  return tail + "]";
}

}  // namespace celeriac::redis
