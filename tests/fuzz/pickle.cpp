// What is loaded can be dumped, and loaded again as the same.
#include "protocol/pickle.hpp"
#include "check.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

using namespace celeriac;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto value = pickle_load(text);
  if (!value) return 0;
  const auto dumped = pickle_dump(*value);
  const auto again = pickle_load(dumped);
  must(again.has_value(), "what was dumped can be loaded");
  // The first trip may choose another form for tagged bytes; from then on all stays as it is.
  const auto third = pickle_load(pickle_dump(*again));
  must(third.has_value() && dump_json(*third) == dump_json(*again), "nothing is lost");
  return 0;
}
