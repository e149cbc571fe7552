#include "protocol/compression.hpp"

#include <brotli/decode.h>
#include <brotli/encode.h>
#include <bzlib.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>
#include <algorithm>
#include <memory>
#include <new>

namespace celeriac {
namespace {

struct Known {
  Compression compression;
  std::string_view type, name, alias;
};
constexpr Known known[] = {
    {Compression::zlib, "application/x-gzip", "gzip", "zlib"},
    {Compression::bzip2, "application/x-bz2", "bzip2", "bzip"},
    {Compression::brotli, "application/x-brotli", "brotli", "brotli"},
    {Compression::lzma, "application/x-lzma", "lzma", "xz"},
    {Compression::zstd, "application/zstd", "zstd", "zstandard"},
};

template <class T, auto release>
struct Release {
  void operator()(T* handle) const noexcept { release(handle); }
};

// A stream struct of a C library that is ended when it leaves scope.
template <class Stream, auto end>
struct Scoped : Stream {
  Scoped() : Stream{} {}
  Scoped(const Scoped&) = delete;
  Scoped& operator=(const Scoped&) = delete;
  ~Scoped() { end(this); }
};

enum class Step { more, done, broken };

// Runs `step(char* out, size_t room, size_t& written)` into a growing string up to the limit. `more`
// without a byte written means that the input has ended early.
template <class StepFunction>
Expected<std::string> unpack(std::size_t input, DecompressLimits limits, StepFunction step) {
  const std::size_t ratio_limit =
      input > limits.max_bytes / limits.max_ratio ? limits.max_bytes : input * limits.max_ratio;
  const std::size_t limit = std::min(limits.max_bytes, std::max(limits.free_bytes, ratio_limit));
  std::string out;
  std::size_t size = 0;
  out.resize(std::min(limit + 1, std::max<std::size_t>(1024, input * 4)));
  for (;;) {
    if (size == out.size()) {
      if (size > limit)
        return unexpected("compressed body unpacks to more than " + std::to_string(limit) + " bytes");
      out.resize(std::min(limit + 1, out.size() * 2));
    }
    std::size_t written = 0;
    const Step result = step(out.data() + size, out.size() - size, written);
    size += written;
    if (result == Step::broken) return unexpected("compressed body is broken");
    if (result == Step::done) break;
    if (written == 0) return unexpected("compressed body is cut short");
  }
  if (size > limit)
    return unexpected("compressed body unpacks to more than " + std::to_string(limit) + " bytes");
  out.resize(size);
  return out;
}

// zlib and bzip2 count in 32 bits; the messages here are at most 512 MiB.
template <class Stream>
void set_input(Stream& stream, std::string_view bytes) {
  stream.next_in = reinterpret_cast<decltype(stream.next_in)>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<unsigned>(bytes.size());
}

Expected<std::string> unpack_zlib(std::string_view bytes, DecompressLimits limits) {
  Scoped<z_stream, inflateEnd> stream;
  constexpr int zlib_or_gzip = 32;
  if (inflateInit2(&stream, MAX_WBITS + zlib_or_gzip) != Z_OK) throw std::bad_alloc();
  set_input(stream, bytes);
  return unpack(bytes.size(), limits, [&](char* out, std::size_t room, std::size_t& written) {
    stream.next_out = reinterpret_cast<Bytef*>(out);
    stream.avail_out = static_cast<unsigned>(room);
    const int result = inflate(&stream, Z_NO_FLUSH);
    written = room - stream.avail_out;
    if (result == Z_STREAM_END) return Step::done;
    return result == Z_OK || result == Z_BUF_ERROR ? Step::more : Step::broken;
  });
}

Expected<std::string> unpack_bzip2(std::string_view bytes, DecompressLimits limits) {
  Scoped<bz_stream, BZ2_bzDecompressEnd> stream;
  if (BZ2_bzDecompressInit(&stream, 0, 0) != BZ_OK) throw std::bad_alloc();
  set_input(stream, bytes);
  return unpack(bytes.size(), limits, [&](char* out, std::size_t room, std::size_t& written) {
    stream.next_out = out;
    stream.avail_out = static_cast<unsigned>(room);
    const int result = BZ2_bzDecompress(&stream);
    written = room - stream.avail_out;
    if (result == BZ_STREAM_END) return Step::done;
    return result == BZ_OK ? Step::more : Step::broken;
  });
}

Expected<std::string> unpack_lzma(std::string_view bytes, DecompressLimits limits) {
  Scoped<lzma_stream, lzma_end> stream;
  constexpr std::uint64_t memory_limit = 128u << 20;  // xz -9 needs 65 MiB
  if (lzma_auto_decoder(&stream, memory_limit, 0) != LZMA_OK) throw std::bad_alloc();
  stream.next_in = reinterpret_cast<const std::uint8_t*>(bytes.data());
  stream.avail_in = bytes.size();
  return unpack(bytes.size(), limits, [&](char* out, std::size_t room, std::size_t& written) {
    stream.next_out = reinterpret_cast<std::uint8_t*>(out);
    stream.avail_out = room;
    const auto result = lzma_code(&stream, LZMA_FINISH);
    written = room - stream.avail_out;
    if (result == LZMA_STREAM_END) return Step::done;
    return result == LZMA_OK || result == LZMA_BUF_ERROR ? Step::more : Step::broken;
  });
}

Expected<std::string> unpack_brotli(std::string_view bytes, DecompressLimits limits) {
  const std::unique_ptr<BrotliDecoderState, Release<BrotliDecoderState, BrotliDecoderDestroyInstance>> state(
      BrotliDecoderCreateInstance(nullptr, nullptr, nullptr));
  if (!state) throw std::bad_alloc();
  auto left = bytes.size();
  const auto* next = reinterpret_cast<const std::uint8_t*>(bytes.data());
  return unpack(bytes.size(), limits, [&](char* out, std::size_t room, std::size_t& written) {
    auto* to = reinterpret_cast<std::uint8_t*>(out);
    std::size_t free = room;
    const auto result = BrotliDecoderDecompressStream(state.get(), &left, &next, &free, &to, nullptr);
    written = room - free;
    if (result == BROTLI_DECODER_RESULT_SUCCESS) return Step::done;
    return result == BROTLI_DECODER_RESULT_ERROR ? Step::broken : Step::more;
  });
}

Expected<std::string> unpack_zstd(std::string_view bytes, DecompressLimits limits) {
  const std::unique_ptr<ZSTD_DCtx, Release<ZSTD_DCtx, ZSTD_freeDCtx>> context(ZSTD_createDCtx());
  if (!context) throw std::bad_alloc();
  ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, 27);
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  return unpack(bytes.size(), limits, [&](char* data, std::size_t room, std::size_t& written) {
    ZSTD_outBuffer out{data, room, 0};
    const std::size_t result = ZSTD_decompressStream(context.get(), &out, &in);
    written = out.pos;
    if (ZSTD_isError(result)) return Step::broken;
    return result == 0 ? Step::done : Step::more;
  });
}

template <class Size>
void check(bool ok, std::string& out, Size size) {
  if (!ok) throw std::bad_alloc();  // with a large enough buffer nothing else can fail
  out.resize(static_cast<std::size_t>(size));
}

}  // namespace

Expected<Compression> find_compression(std::string_view name) {
  for (const auto& entry : known) {
    if (name == entry.type || name == entry.name || name == entry.alias) return entry.compression;
  }
  return unexpected("unknown compression '" + std::string(name.substr(0, 100)) + "'");
}

std::string_view compression_type(Compression compression) {
  return known[static_cast<std::size_t>(compression)].type;
}

Expected<std::string> decompress(Compression compression, std::string_view bytes, DecompressLimits limits) {
  if (bytes.size() > limits.max_bytes) return unexpected("compressed body is too long");
  switch (compression) {
    case Compression::zlib:
      return unpack_zlib(bytes, limits);
    case Compression::bzip2:
      return unpack_bzip2(bytes, limits);
    case Compression::lzma:
      return unpack_lzma(bytes, limits);
    case Compression::brotli:
      return unpack_brotli(bytes, limits);
    case Compression::zstd:
      return unpack_zstd(bytes, limits);
  }
  return unexpected("unknown compression");
}

std::string compress(Compression compression, std::string_view bytes) {
  std::string out;
  const auto* from = reinterpret_cast<const std::uint8_t*>(bytes.data());
  switch (compression) {
    case Compression::zlib: {
      uLongf size = compressBound(bytes.size());
      out.resize(size);
      const int result =
          compress2(reinterpret_cast<Bytef*>(out.data()), &size, from, bytes.size(), Z_DEFAULT_COMPRESSION);
      check(result == Z_OK, out, size);
      break;
    }
    case Compression::bzip2: {
      auto size = static_cast<unsigned>(bytes.size() + bytes.size() / 100 + 600);
      out.resize(size);
      const int result = BZ2_bzBuffToBuffCompress(out.data(), &size, const_cast<char*>(bytes.data()),
                                                  static_cast<unsigned>(bytes.size()), 9, 0, 0);
      check(result == BZ_OK, out, size);
      break;
    }
    case Compression::lzma: {
      std::size_t size = 0;
      out.resize(lzma_stream_buffer_bound(bytes.size()));
      const auto result =
          lzma_easy_buffer_encode(LZMA_PRESET_DEFAULT, LZMA_CHECK_CRC64, nullptr, from, bytes.size(),
                                  reinterpret_cast<std::uint8_t*>(out.data()), &size, out.size());
      check(result == LZMA_OK, out, size);
      break;
    }
    case Compression::brotli: {
      std::size_t size = BrotliEncoderMaxCompressedSize(bytes.size());
      out.resize(size);
      constexpr int quality = 5;  // the best one takes a hundred times longer for a tenth less
      const auto result =
          BrotliEncoderCompress(quality, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_GENERIC, bytes.size(), from,
                                &size, reinterpret_cast<std::uint8_t*>(out.data()));
      check(result == BROTLI_TRUE, out, size);
      break;
    }
    case Compression::zstd: {
      // One call writes the content size into the frame, which kombu's reader needs.
      out.resize(ZSTD_compressBound(bytes.size()));
      const auto size =
          ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), ZSTD_CLEVEL_DEFAULT);
      check(!ZSTD_isError(size), out, size);
      break;
    }
  }
  return out;
}

}  // namespace celeriac
