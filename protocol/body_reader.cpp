#include "protocol/body_reader.hpp"

#include "protocol/compression.hpp"
#include "protocol/serializer.hpp"
#include "protocol/utf8.hpp"

#include <algorithm>

namespace celeriac {
namespace {

enum class Charset { utf8, latin1, unknown };

Charset find_charset(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
    return c == '_' ? '-' : static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  });
  for (const auto* known : {"", "utf-8", "utf8", "us-ascii", "ascii", "binary", "ascii-8bit"}) {
    if (name == known) return Charset::utf8;
  }
  for (const auto* known : {"latin-1", "latin1", "iso-8859-1"}) {
    if (name == known) return Charset::latin1;
  }
  return Charset::unknown;
}

std::string utf8_of_latin1(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) append_utf8(static_cast<unsigned char>(c), out);
  return out;
}

Expected<Json> decode_text(std::string_view bytes, const std::string& encoding, Serializer serializer) {
  if (serializer == Serializer::msgpack) return deserialize(serializer, bytes);
  switch (find_charset(encoding)) {
    case Charset::utf8:
      return deserialize(serializer, bytes);
    case Charset::latin1:
      return deserialize(serializer, utf8_of_latin1(bytes));
    case Charset::unknown:
      break;
  }
  return unexpected("content encoding '" + encoding.substr(0, 40) + "' is unknown");
}

}  // namespace

Expected<Json> decode_body(const Message& message, std::string_view compression, Serializer serializer) {
  if (compression.empty()) return decode_text(message.body, message.content_encoding, serializer);
  const auto method = find_compression(compression);
  if (!method) return tl::unexpected<Error>(method.error());
  const auto bytes = decompress(*method, message.body);
  if (!bytes) return tl::unexpected<Error>(bytes.error());
  return decode_text(*bytes, message.content_encoding, serializer);
}

}  // namespace celeriac
