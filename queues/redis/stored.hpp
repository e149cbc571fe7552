// What `unacked` holds for one message, [envelope, exchange, routing key], taken apart without
// touching the envelope's bytes; and the form in which a message goes back to its queue.
#pragma once

#include "protocol/error.hpp"

#include <string>
#include <string_view>

namespace celeriac::redis {

struct Stored {
  std::string_view envelope;  // a view into the text given; "null" when the bytes lie in `unreadable`
  std::string exchange, routing_key;
};

Expected<Stored> split_stored(std::string_view value);

struct Returned {
  std::string payload;  // with kombu's redelivered flags; as it was when it is no envelope
  int priority = 0;
};

Returned returned_form(std::string_view envelope);

}  // namespace celeriac::redis
