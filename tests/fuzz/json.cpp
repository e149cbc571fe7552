// What is read and written is read again as the same, and shown by repr.
#include "protocol/json.hpp"
#include "check.hpp"
#include "protocol/repr.hpp"
#include "protocol/tagged.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

using namespace celeriac;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto value = parse_json(text);
  if (!value) return 0;
  const auto written = dump_json(*value);
  const auto again = parse_json(written);
  must(again.has_value(), "what was written can be read");
  must(dump_json(*again) == written, "writing is stable");
  python_repr(*value);
  (void)check_tags(*value);
  return 0;
}
