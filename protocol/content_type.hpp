// Which content types a body may have. Serializers are known by a short name (json, yaml, msgpack)
// and by their MIME type; settings may use either.
#pragma once

#include "protocol/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace celeriac {

enum class Serializer : std::uint8_t { json, yaml, msgpack };

std::string_view content_type(Serializer serializer);      // "application/json"
std::string_view content_encoding(Serializer serializer);  // "utf-8", "binary"
Expected<Serializer> find_serializer(std::string_view name_or_type);

// The serializer of a content type that `accept` (short names or MIME types) lets through; the
// error says why it is refused. Pickle is refused even when it is listed. application/data and
// text/plain, which kombu hands on as raw bytes and text, are refused too: neither can hold arguments.
Expected<Serializer> accepted_serializer(std::string_view content_type,
                                         const std::vector<std::string>& accept);

}  // namespace celeriac
