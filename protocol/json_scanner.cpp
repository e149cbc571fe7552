#include "protocol/json_scanner.hpp"

#include "protocol/utf8.hpp"

#include <bitset>
#include <cstring>

namespace celeriac {
namespace {

// True when one of the eight bytes ends a plain run: quote, backslash, control or non-ASCII.
bool has_special(std::uint64_t word) {
  constexpr std::uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
  const auto zero = [](std::uint64_t w) { return (w - ones) & ~w; };
  const std::uint64_t control = (word - ones * 0x20) & ~word;
  return ((word | control | zero(word ^ ones * '"') | zero(word ^ ones * '\\')) & highs) != 0;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::uint32_t hex4(const char* p) {
  std::uint32_t code = 0;
  for (int i = 0; i < 4; ++i) code = code << 4 | static_cast<std::uint32_t>(hex_value(p[i]));
  return code;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

void JsonSlice::append_to(std::string& out) const {
  if (!escaped) {
    out.append(text);
    return;
  }
  const char* p = text.data();
  const char* const end = p + text.size();
  while (p != end) {
    const auto* backslash = static_cast<const char*>(std::memchr(p, '\\', static_cast<std::size_t>(end - p)));
    if (!backslash) backslash = end;
    out.append(p, backslash);
    if (backslash == end) return;
    p = backslash + 2;
    switch (backslash[1]) {
      case 'b':
        out.push_back('\b');
        break;
      case 'f':
        out.push_back('\f');
        break;
      case 'n':
        out.push_back('\n');
        break;
      case 'r':
        out.push_back('\r');
        break;
      case 't':
        out.push_back('\t');
        break;
      case 'u': {
        std::uint32_t code = hex4(p);
        p += 4;
        if (code >= 0xD800 && code < 0xDC00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
          const std::uint32_t low = hex4(p + 2);
          if (low >= 0xDC00 && low < 0xE000) {
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
            p += 6;
          }
        }
        append_utf8(code, out);
        break;
      }
      default:
        out.push_back(backslash[1]);  // quote, backslash, slash
    }
  }
}

JsonScanner::JsonScanner(std::string_view text) : at_(text.data()), end_(at_ + text.size()), begin_(at_) {}

bool JsonScanner::fail(const char* what) {
  if (!error_) {
    error_ = what;
    error_at_ = static_cast<std::size_t>(at_ - begin_);
    at_ = end_;
  }
  return false;
}

std::string JsonScanner::error() const {
  return "byte " + std::to_string(error_at_) + ": " + (error_ ? error_ : "no error");
}

void JsonScanner::skip_space() {
  while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
}

char JsonScanner::peek() {
  skip_space();
  return at_ == end_ ? '\0' : *at_;
}

bool JsonScanner::enter_object() {
  if (peek() != '{') return fail("expected an object");
  ++at_;
  first_ = true;
  return true;
}

bool JsonScanner::enter_array() {
  if (peek() != '[') return fail("expected an array");
  ++at_;
  first_ = true;
  return true;
}

bool JsonScanner::next_key(JsonSlice& key) {
  char c = peek();
  if (c == '}') {
    ++at_;
    first_ = false;
    return false;
  }
  if (!first_) {
    if (c != ',') return fail("expected ',' or '}'");
    ++at_;
    c = peek();
  }
  first_ = false;
  if (c != '"') return fail("expected a key in double quotes");
  if (!scan_string(key)) return false;
  if (peek() != ':') return fail("expected ':'");
  ++at_;
  return true;
}

bool JsonScanner::next_key(std::string_view& key) {
  JsonSlice slice;
  if (!next_key(slice)) return false;
  key = slice.text;
  if (slice.escaped) {
    key_.clear();
    slice.append_to(key_);
    key = key_;
  }
  return true;
}

bool JsonScanner::next_element() {
  char c = peek();
  if (c == ']') {
    if (error_) return false;
    ++at_;
    first_ = false;
    return false;
  }
  if (!first_) {
    if (c != ',') return fail("expected ',' or ']'");
    ++at_;
    c = peek();
    if (c == ']') return fail("expected a value");
  }
  first_ = false;
  return c != '\0' || fail("unexpected end");
}

bool JsonScanner::scan_string(JsonSlice& slice) {
  const char* p = at_ + 1;
  const char* const start = p;
  slice.escaped = false;
  const auto fail_at = [&](const char* where, const char* what) {
    at_ = where;
    return fail(what);
  };
  for (;;) {
    while (end_ - p >= 8) {
      std::uint64_t word;
      std::memcpy(&word, p, 8);
      if (has_special(word)) break;
      p += 8;
    }
    while (p != end_ && *p != '"' && *p != '\\' && static_cast<signed char>(*p) >= 0x20) ++p;
    if (p == end_) return fail_at(p, "unterminated string");
    const auto c = static_cast<unsigned char>(*p);
    if (c == '"') break;
    if (c >= 0x80) {
      // Stay here while the text is not ASCII: going back to eight bytes at a time would not pay.
      do {
        if (decode_utf8(p, end_) < 0) return fail_at(p, "invalid UTF-8");
      } while (p != end_ && static_cast<unsigned char>(*p) >= 0x80);
      continue;
    }
    if (c != '\\') return fail_at(p, "control character in a string");
    slice.escaped = true;
    if (end_ - p < 2) return fail_at(p, "unterminated string");
    switch (p[1]) {
      case '"':
      case '\\':
      case '/':
      case 'b':
      case 'f':
      case 'n':
      case 'r':
      case 't':
        p += 2;
        break;
      case 'u':
        if (end_ - p < 6) return fail_at(p, "bad \\u escape");
        for (int i = 2; i < 6; ++i) {
          if (hex_value(p[i]) < 0) return fail_at(p, "bad \\u escape");
        }
        p += 6;
        break;
      default:
        return fail_at(p, "unknown escape");
    }
  }
  slice.text = {start, static_cast<std::size_t>(p - start)};
  at_ = p + 1;
  return true;
}

bool JsonScanner::read_string(JsonSlice& slice) {
  if (peek() != '"') return fail("expected a string");
  return scan_string(slice);
}

bool JsonScanner::read_string(std::string& out) {
  JsonSlice slice;
  if (!read_string(slice)) return false;
  out.clear();
  slice.append_to(out);
  return true;
}

bool JsonScanner::read_literal(std::string_view word) {
  skip_space();
  if (static_cast<std::size_t>(end_ - at_) < word.size() || std::string_view(at_, word.size()) != word) {
    return fail("expected a value");
  }
  at_ += word.size();
  return true;
}

bool JsonScanner::read_bool(bool& value) {
  const char c = peek();
  if (c != 't' && c != 'f') return fail("expected true or false");
  value = c == 't';
  return read_literal(value ? "true" : "false");
}

bool JsonScanner::read_number(std::string_view& token, bool& integer) {
  skip_space();
  const char* p = at_;
  const auto have = [&] { return p != end_; };
  if (have() && *p == '-') ++p;
  if (have() && (*p == 'N' || *p == 'I')) {
    integer = false;
    const char* const start = at_;
    const bool negative = p != at_;
    if (negative && *p == 'N') return fail("expected a number");
    at_ = p;
    if (!read_literal(*p == 'N' ? "NaN" : "Infinity")) return false;
    token = {start, static_cast<std::size_t>(at_ - start)};
    return true;
  }
  if (!have() || !is_digit(*p)) return fail("expected a number");
  if (*p == '0') {
    ++p;
  } else {
    while (have() && is_digit(*p)) ++p;
  }
  integer = true;
  if (end_ - p >= 2 && *p == '.' && is_digit(p[1])) {
    integer = false;
    ++p;
    while (have() && is_digit(*p)) ++p;
  }
  if (have() && (*p == 'e' || *p == 'E')) {
    const char* q = p + 1;
    if (q != end_ && (*q == '+' || *q == '-')) ++q;
    if (q == end_ || !is_digit(*q)) {
      at_ = p;
      return fail("bad exponent");
    }
    integer = false;
    p = q;
    while (have() && is_digit(*p)) ++p;
  }
  token = {at_, static_cast<std::size_t>(p - at_)};
  at_ = p;
  return true;
}

bool JsonScanner::skip_scalar() {
  JsonSlice slice;
  std::string_view token;
  bool flag = false;
  switch (peek()) {
    case '"':
      return scan_string(slice);
    case 'n':
      return read_literal("null");
    case 't':
    case 'f':
      return read_bool(flag);
    case '\0':
      return fail("unexpected end");
    default:
      return read_number(token, flag) || fail("expected a value");
  }
}

bool JsonScanner::skip_value() {
  std::bitset<depth_limit> is_object;
  std::size_t depth = 0;
  JsonSlice key;
  // Each turn starts where a value must start, and ends behind it and all that closes after it.
  for (;;) {
    const char c = peek();
    if (c == '{' || c == '[') {
      if (depth == depth_limit) return fail("nested too deeply");
      is_object[depth++] = c == '{';
      ++at_;
      first_ = true;
    } else if (!skip_scalar()) {
      return false;
    }
    for (;;) {
      if (depth == 0) {
        first_ = false;
        return true;
      }
      if (is_object[depth - 1] ? next_key(key) : next_element()) break;
      if (failed()) return false;
      --depth;
    }
  }
}

bool JsonScanner::skip_value(std::string_view& text) {
  skip_space();
  const char* const start = at_;
  if (!skip_value()) return false;
  text = {start, static_cast<std::size_t>(at_ - start)};
  return true;
}

bool JsonScanner::finish() {
  if (failed()) return false;
  skip_space();
  return at_ == end_ || fail("more text behind the value");
}

}  // namespace celeriac
