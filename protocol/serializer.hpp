// kombu's serializers, both ways. Values of kombu's own types (bytes, dates, decimals, UUIDs) are
// {"__type__", "__value__"} objects in a Json whatever the format: see protocol/tagged.hpp.
#pragma once

#include "protocol/content_type.hpp"
#include "protocol/json.hpp"

namespace celeriac {

// Bounded in depth and in size; text formats must be UTF-8. YAML is read with the safe schema
// of PyYAML's safe_load, msgpack without extension types.
Expected<Json> deserialize(Serializer serializer, std::string_view bytes);

// Fails for what a format cannot hold: an integer beyond 64 bits in msgpack.
Expected<std::string> serialize(Serializer serializer, const Json& value);

Expected<Json> parse_yaml(std::string_view text);
std::string dump_yaml(const Json& value);  // one document, one line, flow style
Expected<Json> parse_msgpack(std::string_view bytes);
Expected<std::string> dump_msgpack(const Json& value);

}  // namespace celeriac
