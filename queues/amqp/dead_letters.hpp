// What a dead letter looks like on RabbitMQ, and where it lies. Pure.
#pragma once

#include "protocol/message.hpp"
#include "queues/broker.hpp"

#include <string>

namespace celeriac::amqp {

// The header that holds why a message is dead, as a table.
constexpr const char* dead_letter_note = "x-celeriac-dead";

// Where the dead letters of a queue are kept.
std::string dead_letter_queue(const std::string& queue);

// To be published: body and properties as they came, persistent and without an end, addressed to
// dead_letter_queue(queue). `now` is Unix time.
Message dead_letter(const std::string& queue, const Message& message, const DeadLetter& why, double now);

}  // namespace celeriac::amqp
