// How a pause is kept on RabbitMQ: a queue is paused while its marker exists, a durable queue whose one
// message is the note. Whoever changes that says so on an exchange, naming the queue; workers listen there
// and look for the marker themselves.
#pragma once

#include <string>

namespace celeriac::amqp {

inline std::string pause_marker(const std::string& queue) { return "celeriac.paused." + queue; }

// Fanout; a message's body is the queue's name.
inline constexpr const char* pause_exchange = "celeriac.pauses";

}  // namespace celeriac::amqp
