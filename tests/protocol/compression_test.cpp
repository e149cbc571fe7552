#include "protocol/compression.hpp"

#include <doctest/doctest.h>

using namespace celeriac;

namespace {

constexpr Compression all[] = {Compression::zlib, Compression::bzip2, Compression::brotli, Compression::lzma,
                               Compression::zstd};

}  // namespace

TEST_CASE("what is packed is unpacked") {
  std::string large;
  for (int i = 0; i < 100000; ++i) large += std::to_string(i * 7919);
  for (const auto method : all) {
    CAPTURE(compression_type(method));
    for (const auto& text : {std::string(), std::string("x"), large, std::string(3 << 20, 'a')}) {
      const auto packed = compress(method, text);
      const auto unpacked = decompress(method, packed);
      REQUIRE(unpacked);
      CHECK(*unpacked == text);
    }
    CHECK(find_compression(compression_type(method)).value() == method);
  }
  CHECK(find_compression("zlib").value() == Compression::zlib);
  CHECK(find_compression("zstandard").value() == Compression::zstd);
  CHECK(!find_compression("application/x-nope"));
}

TEST_CASE("broken and cut streams are errors") {
  for (const auto method : all) {
    CAPTURE(compression_type(method));
    CHECK(!decompress(method, ""));
    CHECK(!decompress(method, "[[1, 2], {}, {}]"));
    const auto packed = compress(method, std::string(5000, 'a') + "b");
    for (std::size_t cut = 0; cut < packed.size(); ++cut) CHECK(!decompress(method, packed.substr(0, cut)));
  }
}

TEST_CASE("the output is bounded by size and by ratio") {
  for (const auto method : all) {
    CAPTURE(compression_type(method));
    const auto packed = compress(method, std::string(4 << 20, 'a'));
    CHECK(!decompress(method, packed, {.max_bytes = (4u << 20) - 1}));
    CHECK(decompress(method, packed, {.max_bytes = 4u << 20}));
    CHECK(!decompress(method, packed, {.free_bytes = 1000, .max_ratio = 10}));
  }
}
