// A time that is read is written so that it is read as the same.
#include "protocol/iso8601.hpp"
#include "check.hpp"
#include "protocol/time.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

using namespace celeriac;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)parse_time_of_day(text);
  const auto time = parse_iso8601(text);
  if (!time) return 0;
  const auto written = format_iso8601(*time);
  const auto again = parse_iso8601(written);
  must(again.has_value(), "what was written can be read");
  // Beyond, a double no longer tells microseconds apart.
  if (std::abs(*time) < 4294967296.0) must(format_iso8601(*again) == written, "writing is stable");
  return 0;
}
