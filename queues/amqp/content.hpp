// A task message as AMQP carries it: basic properties and a body.
#pragma once

#include "protocol/message.hpp"
#include "queues/amqp/field_table.hpp"

#include <amqp_framing.h>
#include <string>

namespace celeriac::amqp {

// What the properties say, without exchange, routing key and body. When the headers cannot be turned into
// JSON, `problem` says why and message.headers is "{}".
void read_properties(const amqp_basic_properties_t& properties, Message& message, std::string& problem);

// The properties py-amqp would write for this message. The struct points into `message` and `headers`.
Expected<amqp_basic_properties_t> write_properties(const Message& message, FieldTable& headers);

}  // namespace celeriac::amqp
