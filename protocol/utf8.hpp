// UTF-8, strictly: no overlong forms, nothing above U+10FFFF. Surrogates are refused in input
// from outside, but may live inside our strings (WTF-8), because JSON can name them: "\ud800".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace celeriac {

enum class Surrogates : bool { refuse, accept };

// Reads one code point and moves `p` behind it; -1 and `p` unmoved when the bytes are broken. `p` < `end`.
inline std::int32_t decode_utf8(const char*& p, const char* end, Surrogates surrogates = Surrogates::refuse) {
  const auto byte = [&](int i) { return static_cast<unsigned char>(p[i]); };
  const auto tail = [&](int i) { return (byte(i) & 0xC0) == 0x80; };
  const unsigned first = byte(0);
  const auto left = end - p;
  if (first < 0x80) {
    ++p;
    return static_cast<std::int32_t>(first);
  }
  if (first >= 0xC2 && first <= 0xDF && left >= 2 && tail(1)) {
    const auto code = static_cast<std::int32_t>((first & 0x1F) << 6 | (byte(1) & 0x3F));
    p += 2;
    return code;
  }
  if ((first & 0xF0) == 0xE0 && left >= 3 && tail(1) && tail(2)) {
    const auto code =
        static_cast<std::int32_t>((first & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F));
    const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
    if (code < 0x800 || (surrogate && surrogates == Surrogates::refuse)) return -1;
    p += 3;
    return code;
  }
  if (first >= 0xF0 && first <= 0xF4 && left >= 4 && tail(1) && tail(2) && tail(3)) {
    const auto code = static_cast<std::int32_t>((first & 0x07) << 18 | (byte(1) & 0x3F) << 12 |
                                                (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F));
    if (code < 0x10000 || code > 0x10FFFF) return -1;
    p += 4;
    return code;
  }
  return -1;
}

inline void append_utf8(std::uint32_t code, std::string& out) {
  const auto put = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6);
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

inline bool is_utf8(std::string_view text) {
  const char* p = text.data();
  const char* end = p + text.size();
  while (p != end) {
    if (decode_utf8(p, end) < 0) return false;
  }
  return true;
}

}  // namespace celeriac
