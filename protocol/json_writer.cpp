// The writer half of protocol/json.hpp: what Python's json.dumps writes, byte for byte.
#include "protocol/json.hpp"
#include "protocol/utf8.hpp"

#include <charconv>
#include <cmath>

namespace celeriac {
namespace {

constexpr char hex_digits[] = "0123456789abcdef";

void append_escape(std::uint32_t unit, std::string& out) {
  const char text[] = {'\\',
                       'u',
                       hex_digits[unit >> 12 & 15],
                       hex_digits[unit >> 8 & 15],
                       hex_digits[unit >> 4 & 15],
                       hex_digits[unit & 15]};
  out.append(text, sizeof text);
}

void append_code(std::uint32_t code, std::string& out) {
  if (code >= 0x10000) {
    append_escape(0xD800 + ((code - 0x10000) >> 10), out);
    append_escape(0xDC00 + ((code - 0x10000) & 0x3FF), out);
  } else {
    append_escape(code, out);
  }
}

// Zero for a byte that is written as it is.
constexpr bool plain(unsigned char c) { return c >= 0x20 && c < 0x7F && c != '"' && c != '\\'; }

void append_float(double value, std::string& out) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value < 0 ? "-Infinity" : "Infinity";
  } else {
    out += python_float(value);
  }
}

template <class Number>
void append_integer(Number value, std::string& out) {
  char buffer[24];
  out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
}

void append_value(const Json& value, std::string& out) {
  using Type = Json::value_t;
  switch (value.type()) {
    case Type::null:
    case Type::discarded:
      out += "null";
      break;
    case Type::boolean:
      out += value.get_ref<const bool&>() ? "true" : "false";
      break;
    case Type::number_integer:
      append_integer(value.get_ref<const std::int64_t&>(), out);
      break;
    case Type::number_unsigned:
      append_integer(value.get_ref<const std::uint64_t&>(), out);
      break;
    case Type::number_float:
      append_float(value.get_ref<const double&>(), out);
      break;
    case Type::string:
      dump_json_string(value.get_ref<const std::string&>(), out);
      break;
    case Type::binary:
      out += big_integer_digits(value);
      break;
    case Type::array: {
      out += '[';
      bool first = true;
      for (const auto& element : value.get_ref<const Json::array_t&>()) {
        if (!first) out += ", ";
        first = false;
        append_value(element, out);
      }
      out += ']';
      break;
    }
    case Type::object: {
      out += '{';
      bool first = true;
      for (const auto& [key, member] : value.get_ref<const Json::object_t&>()) {
        if (!first) out += ", ";
        first = false;
        dump_json_string(key, out);
        out += ": ";
        append_value(member, out);
      }
      out += '}';
      break;
    }
  }
}

}  // namespace

std::string dump_json(const Json& value) {
  std::string out;
  append_value(value, out);
  return out;
}

void dump_json(const Json& value, std::string& out) { append_value(value, out); }

void dump_json_string(std::string_view utf8, std::string& out) {
  out.push_back('"');
  const char* p = utf8.data();
  const char* const end = p + utf8.size();
  while (p != end) {
    const char* const run = p;
    while (p != end && plain(static_cast<unsigned char>(*p))) ++p;
    out.append(run, p);
    if (p == end) break;
    const auto c = static_cast<unsigned char>(*p);
    if (c >= 0x80) {
      const auto code = decode_utf8(p, end, Surrogates::accept);
      if (code < 0) ++p;
      append_code(code < 0 ? 0xFFFD : static_cast<std::uint32_t>(code), out);
      continue;
    }
    ++p;
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        append_escape(c, out);
    }
  }
  out.push_back('"');
}

std::string python_float(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[32];
  const std::string_view text(
      buffer,
      static_cast<std::size_t>(
          std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr - buffer));
  // "-1.2345e+16": the shortest digits, which only have to be laid out as Python does.
  const auto e = text.find('e');
  int exponent = 0;
  const auto skip = text[e + 1] == '+' ? 2u : 1u;
  std::from_chars(text.data() + e + skip, text.data() + text.size(), exponent);
  const bool negative = text.front() == '-';
  std::string digits(1, text[negative]);
  if (e > negative + 2u) digits.append(text.substr(negative + 2u, e - negative - 2u));

  std::string out(negative, '-');
  const int count = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    out += digits[0];
    if (count > 1) out.append(1, '.').append(digits, 1);
    out += exponent < 0 ? "e-" : "e+";
    const int size = std::abs(exponent);
    if (size < 10) out += '0';
    out += std::to_string(size);
  } else if (exponent < 0) {
    out.append("0.").append(static_cast<std::size_t>(-exponent - 1), '0').append(digits);
  } else if (count <= exponent + 1) {
    out.append(digits).append(static_cast<std::size_t>(exponent + 1 - count), '0').append(".0");
  } else {
    const auto whole = static_cast<std::size_t>(exponent + 1);
    out.append(digits, 0, whole).append(1, '.').append(digits, whole);
  }
  return out;
}

}  // namespace celeriac
