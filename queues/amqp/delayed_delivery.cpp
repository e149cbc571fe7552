#include "queues/amqp/delayed_delivery.hpp"

#include "protocol/task_fields.hpp"

#include <algorithm>
#include <cmath>

namespace celeriac::amqp::delayed {

std::string level_name(int level) { return "celery_delayed_" + std::to_string(level); }

std::string next_exchange(int level) {
  return level == 0 ? std::string(delivery_exchange) : level_name(level - 1);
}

std::string binding_key(int level, bool stays) {
  std::string key;
  for (int i = level; i < top_level; ++i) key += "*.";
  return key + (stays ? "1.#" : "0.#");
}

Json queue_arguments(int level, std::string_view queue_type) {
  Json out = Json::object();
  out["x-queue-type"] = std::string(queue_type);
  if (queue_type == "quorum") out["x-dead-letter-strategy"] = "at-least-once";
  out["x-overflow"] = "reject-publish";
  out["x-message-ttl"] = (std::int64_t{1} << level) * 1000;
  out["x-dead-letter-exchange"] = next_exchange(level);
  return out;
}

std::string routing_key(std::int64_t seconds, std::string_view routing_key) {
  seconds = std::clamp<std::int64_t>(seconds, 0, most_seconds);
  std::string out;
  for (int bit = top_level; bit >= 0; --bit) {
    out += (seconds >> bit) & 1 ? '1' : '0';
    out += '.';
  }
  return out.append(routing_key);
}

std::string_view plain_key(std::string_view routing_key) {
  constexpr std::size_t prefix = 2 * (top_level + 1);
  if (routing_key.size() <= prefix) return routing_key;
  for (std::size_t i = 0; i < prefix; i += 2)
    if ((routing_key[i] != '0' && routing_key[i] != '1') || routing_key[i + 1] != '.') return routing_key;
  return routing_key.substr(prefix);
}

std::optional<double> eta_of(const Message& message) {
  TaskHeaders headers;
  bool has_task = false;
  // Whatever the body is made of: signed and compressed ones have their headers in the open.
  if (!TaskFields(headers).read(message.headers, has_task).empty()) return std::nullopt;
  if (has_task) return headers.eta;
  const auto task = read_task(message, {message.content_type});
  return task ? task->eta : std::nullopt;
}

std::int64_t seconds_to_eta(const Message& message, double now) {
  const auto eta = eta_of(message);
  if (!eta) return 0;
  return static_cast<std::int64_t>(
      std::clamp(std::floor(*eta - now), 0.0, static_cast<double>(most_seconds)));
}

}  // namespace celeriac::amqp::delayed
