// The first byte chooses the method; the output stays within its bounds.
#include "protocol/compression.hpp"
#include "check.hpp"
#include "protocol/base64.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

using namespace celeriac;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (text.empty()) return 0;
  const auto method = static_cast<Compression>(data[0] % 5);
  const DecompressLimits limits{.max_bytes = 1u << 20, .free_bytes = 4096, .max_ratio = 20};
  const auto bytes = decompress(method, text.substr(1), limits);
  if (bytes) must(bytes->size() <= limits.max_bytes, "the bound holds");
  if (const auto decoded = base64_decode(text)) {
    must(base64_decode(base64_encode(*decoded)).value() == *decoded, "base64 is kept");
  }
  return 0;
}
