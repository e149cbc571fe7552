// kombu's JSON envelope, the form a message has in a Redis list.
#pragma once

#include "protocol/message.hpp"

namespace celeriac {

// Reads one list item. One pass, no document tree: this runs once per task in the
// worker's loop. Accepts base64 and plain bodies (`body_encoding`), any key order,
// missing optional keys. Bad input: an Error that says what.
Expected<Message> decode_envelope(std::string_view text);

// Writes what kombu writes, byte for byte (key order, separators, base64 body).
// An empty properties.delivery_tag is replaced by a fresh UUID4.
std::string encode_envelope(const Message& message);

// The same envelope with both `redelivered` flags set, as kombu's restore writes it.
// Fails when `text` is no envelope.
Expected<std::string> mark_redelivered(std::string_view text);

}  // namespace celeriac
