// msgpack that is read is written as msgpack that is read as the same.
#include "check.hpp"
#include "protocol/serializer.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

using namespace celeriac;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto value = parse_msgpack(text);
  if (!value) return 0;
  const auto written = dump_msgpack(*value);
  must(written.has_value(), "what was read can be written");
  const auto again = parse_msgpack(*written);
  must(again.has_value(), "what was written can be read");
  // The first trip may choose another form for tagged bytes; from then on all stays as it is.
  const auto third = parse_msgpack(*dump_msgpack(*again));
  must(third.has_value() && dump_json(*third) == dump_json(*again), "nothing is lost");
  return 0;
}
