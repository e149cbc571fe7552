#include "protocol/base64.hpp"

#include <array>
#include <cstdint>

namespace celeriac {
namespace {

constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint32_t foreign = 0x80000000;

// The value of each byte, already shifted to its place among the four of a group.
constexpr std::array<std::uint32_t, 256> shifted(int shift) {
  std::array<std::uint32_t, 256> table{};
  table.fill(foreign);
  for (std::uint32_t i = 0; i < 64; ++i) table[static_cast<unsigned char>(alphabet[i])] = i << shift;
  return table;
}
constexpr auto first = shifted(18), second = shifted(12), third = shifted(6), fourth = shifted(0);

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

}  // namespace

void base64_encode(std::string_view bytes, std::string& out) {
  const std::size_t start = out.size();
  out.resize(start + (bytes.size() + 2) / 3 * 4);
  char* to = out.data() + start;
  const auto* from = reinterpret_cast<const unsigned char*>(bytes.data());
  std::size_t left = bytes.size();
  for (; left >= 3; left -= 3, from += 3) {
    const std::uint32_t group = static_cast<std::uint32_t>(from[0] << 16 | from[1] << 8 | from[2]);
    *to++ = alphabet[group >> 18];
    *to++ = alphabet[group >> 12 & 63];
    *to++ = alphabet[group >> 6 & 63];
    *to++ = alphabet[group & 63];
  }
  if (left == 0) return;
  const std::uint32_t group = static_cast<std::uint32_t>(from[0] << 16 | (left == 2 ? from[1] << 8 : 0));
  *to++ = alphabet[group >> 18];
  *to++ = alphabet[group >> 12 & 63];
  *to++ = left == 2 ? alphabet[group >> 6 & 63] : '=';
  *to = '=';
}

std::string base64_encode(std::string_view bytes) {
  std::string out;
  base64_encode(bytes, out);
  return out;
}

Expected<std::string> base64_decode(std::string_view text) {
  std::string out;
  out.resize(text.size() / 4 * 3 + 3);
  char* to = out.data();
  const auto* p = reinterpret_cast<const unsigned char*>(text.data());
  const auto* const end = p + text.size();
  std::uint32_t group = 0;
  int have = 0;  // characters of the group read so far
  int padding = 0;
  while (p != end) {
    while (have == 0 && padding == 0 && end - p >= 4) {
      const std::uint32_t all = first[p[0]] | second[p[1]] | third[p[2]] | fourth[p[3]];
      if (all & foreign) break;
      *to++ = static_cast<char>(all >> 16);
      *to++ = static_cast<char>(all >> 8);
      *to++ = static_cast<char>(all);
      p += 4;
    }
    if (p == end) break;
    const char c = static_cast<char>(*p++);
    if (is_space(c)) continue;
    if (c == '=') {
      if (have + ++padding > 4 || have < 2) return unexpected("base64: misplaced padding");
      continue;
    }
    const std::uint32_t value = fourth[static_cast<unsigned char>(c)];
    if (value & foreign) return unexpected("base64: foreign character");
    if (padding != 0) return unexpected("base64: text behind the padding");
    group = group << 6 | value;
    if (++have < 4) continue;
    *to++ = static_cast<char>(group >> 16);
    *to++ = static_cast<char>(group >> 8);
    *to++ = static_cast<char>(group);
    group = 0;
    have = 0;
  }
  if ((have + padding) % 4 != 0) return unexpected("base64: incomplete");
  if (have == 2) {
    *to++ = static_cast<char>(group >> 4);
  } else if (have == 3) {
    *to++ = static_cast<char>(group >> 10);
    *to++ = static_cast<char>(group >> 2);
  }
  out.resize(static_cast<std::size_t>(to - out.data()));
  return out;
}

}  // namespace celeriac
