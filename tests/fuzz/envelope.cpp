// A decoded envelope survives encoding; marking agrees with decoding.
#include "protocol/envelope.hpp"
#include "check.hpp"
#include "protocol/json.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

using namespace celeriac;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto message = decode_envelope(text);
  const auto marked = mark_redelivered(text);
  if (marked) must(parse_json(*marked).has_value(), "a marked envelope is JSON");
  if (!message) return 0;
  must(parse_json(text).has_value(), "an envelope is JSON");
  must(parse_json(message->headers).has_value(), "headers are JSON");
  const auto again = decode_envelope(encode_envelope(*message));
  must(again.has_value(), "what was encoded can be decoded");
  must(again->body == message->body, "the body is kept");
  must(again->headers == message->headers, "the headers are kept");
  must(again->properties.delivery_tag == message->properties.delivery_tag, "the tag is kept");
  must(again->properties.routing_key == message->properties.routing_key, "the routing key is kept");
  if (marked) must(decode_envelope(*marked).has_value(), "a marked envelope can be decoded");
  return 0;
}
