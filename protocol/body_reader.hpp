// From a message's bytes to the value they hold: decompression, character encoding and
// deserialization. What the value has to look like is protocol/body.hpp's business.
#pragma once

#include "protocol/content_type.hpp"
#include "protocol/json.hpp"
#include "protocol/message.hpp"

namespace celeriac {

// `compression` is the header's value or empty.
Expected<Json> decode_body(const Message& message, std::string_view compression, Serializer serializer);

}  // namespace celeriac
