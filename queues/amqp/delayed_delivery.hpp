// kombu's native delayed delivery: 28 queues whose messages expire after 1, 2, 4 ... 2^27 seconds and fall
// one level, steered by the bits of the delay in the routing key. Names and keys are kombu's, so Python
// producers and workers share them. Pure.
#pragma once

#include "protocol/json.hpp"
#include "protocol/message.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace celeriac::amqp::delayed {

constexpr int top_level = 27;                                       // kombu's MAX_LEVEL
constexpr std::int64_t most_seconds = (std::int64_t{1} << 28) - 1;  // eight years and a half
constexpr std::string_view delivery_exchange = "celery_delayed_delivery";

std::string level_name(int level);     // celery_delayed_<level>: an exchange and its queue
std::string next_exchange(int level);  // where expired messages of the level go
// Of the level's queue (`stays`: the bit is 1) or of its way to the next level.
std::string binding_key(int level, bool stays);
Json queue_arguments(int level, std::string_view queue_type);  // "quorum" or "classic"

// To be published to level_name(top_level) so that it arrives with `routing_key` after `seconds`.
std::string routing_key(std::int64_t seconds, std::string_view routing_key);
// The other way round, for a message that came through there; any other key stays as it is.
std::string_view plain_key(std::string_view routing_key);

// When a task message asks to be run, as Unix time; protocol 1 has it in its body. Empty: at once, or it is
// no task that we can read.
std::optional<double> eta_of(const Message& message);
// Until then, in whole seconds, as kombu counts them; 0: nothing to wait for.
std::int64_t seconds_to_eta(const Message& message, double now);

}  // namespace celeriac::amqp::delayed
