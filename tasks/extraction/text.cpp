#include "tasks/extraction/text.hpp"

#include <cstdint>

namespace celeriac {
namespace {

// Reads one code point at `at` and moves past it; 0xFFFD for a broken sequence.
char32_t next_code_point(std::string_view s, std::size_t& at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  const unsigned char lead = byte(at++);
  if (lead < 0x80) return lead;
  int more = lead >= 0xF0 && lead < 0xF5 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC2 && lead < 0xE0 ? 1 : 0;
  if (more == 0 || lead >= 0xF5) return 0xFFFD;
  char32_t code = lead & (0x3F >> more);
  for (int i = 0; i < more; ++i) {
    if (at >= s.size() || (byte(at) & 0xC0) != 0x80) return 0xFFFD;
    code = (code << 6) | (byte(at++) & 0x3F);
  }
  const char32_t least = more == 1 ? 0x80 : more == 2 ? 0x800 : 0x10000;
  return code < least || (code >= 0xD800 && code < 0xE000) || code > 0x10FFFF ? 0xFFFD : code;
}

bool is_space(char32_t c) {
  return c == ' ' || (c >= 9 && c <= 13) || c == 0xA0 || (c >= 0x2000 && c <= 0x200B) || c == 0x202F ||
         c == 0x205F || c == 0x3000 || c == 0xFEFF;
}

// U+00C0..U+00FF without their accents; '\0' drops the sign.
constexpr std::string_view latin1 =
    "aaaaaaaceeeeiiiidnooooo\0ouuuuyts"
    "aaaaaaaceeeeiiiidnooooo\0ouuuuyty";

}  // namespace

std::string fold(std::string_view s) {
  std::string out;
  for (std::size_t at = 0; at < s.size();) {
    const char32_t c = next_code_point(s, at);
    if (c >= 'A' && c <= 'Z') {
      out += static_cast<char>(c + 32);
    } else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
      out += static_cast<char>(c);
    } else if (c == 0xDF) {
      out += "ss";
    } else if (c >= 0xC0 && c <= 0xFF) {
      if (char plain = std::string_view(latin1.data(), 64)[c - 0xC0]; plain != '\0') out += plain;
    } else if (c == 0x152 || c == 0x153) {
      out += "oe";
    } else if (c == 0xFB01) {
      out += "fi";
    } else if (c == 0xFB02) {
      out += "fl";
    }
  }
  return out;
}

std::string squeeze(std::string_view s) {
  std::string out;
  bool pending = false;
  for (std::size_t at = 0; at < s.size();) {
    const std::size_t from = at;
    if (is_space(next_code_point(s, at))) {
      pending = !out.empty();
      continue;
    }
    if (pending) out += ' ';
    pending = false;
    out += s.substr(from, at - from);
  }
  return out;
}

std::string_view trim_value(std::string_view text) {
  constexpr std::string_view around = " \t\r\n:;,*|";
  const auto from = text.find_first_not_of(around);
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(around) - from + 1);
}

std::string valid_utf8(std::string_view bytes) {
  std::string out;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t from = at;
    const char32_t c = next_code_point(bytes, at);
    if (c != 0xFFFD && c != 0) out += bytes.substr(from, at - from);
  }
  return out;
}

}  // namespace celeriac
