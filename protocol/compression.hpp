// Compressed bodies, by the names kombu gives the methods in the header `compression`.
#pragma once

#include "protocol/error.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace celeriac {

enum class Compression : std::uint8_t { zlib, bzip2, brotli, lzma, zstd };

// Accepts the header's full type and every alias: "application/x-gzip", "gzip", "zlib", ...
Expected<Compression> find_compression(std::string_view name);
// The header's value. zlib's is "application/x-gzip", although the stream is no gzip file.
std::string_view compression_type(Compression compression);

// Stops a small message that unpacks to something huge: the output may reach `free_bytes`
// whatever the input, beyond that `max_ratio` times the input, and never more than `max_bytes`.
struct DecompressLimits {
  std::size_t max_bytes = 512u << 20;
  std::size_t free_bytes = 16u << 20;
  std::size_t max_ratio = 1000;
};

Expected<std::string> decompress(Compression compression, std::string_view bytes,
                                 DecompressLimits limits = {});
std::string compress(Compression compression, std::string_view bytes);

}  // namespace celeriac
