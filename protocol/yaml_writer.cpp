// Json as one line of YAML in flow style, with every string quoted: what each reader takes for the
// same value, whichever version of YAML it follows.
#include "protocol/base64.hpp"
#include "protocol/iso8601.hpp"
#include "protocol/serializer.hpp"
#include "protocol/tagged.hpp"
#include "protocol/utf8.hpp"

#include <cmath>

namespace celeriac {
namespace {

void append_hex(char kind, int digits, std::uint32_t code, std::string& out) {
  out += '\\';
  out += kind;
  for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4) out += "0123456789ABCDEF"[code >> shift & 15];
}

// YAML knows no surrogate pairs, and no lone surrogates: those become U+FFFD.
void append_text(std::string_view s, std::string& out) {
  out += '"';
  const char* p = s.data();
  const char* const end = p + s.size();
  while (p != end) {
    auto code = decode_utf8(p, end);
    if (code < 0) {
      code = 0xFFFD;
      ++p;
    }
    const auto c = static_cast<std::uint32_t>(code);
    if (c == '"' || c == '\\') out += '\\';
    if (c >= 0x20 && c < 0x7F) {
      out += static_cast<char>(c);
    } else if (c < 0x100) {
      append_hex('x', 2, c, out);
    } else if (c < 0x10000) {
      append_hex('u', 4, c, out);
    } else {
      append_hex('U', 8, c, out);
    }
  }
  out += '"';
}

// "1e+16" is text to YAML 1.1: a float needs its point.
void append_float(double value, std::string& out) {
  if (std::isnan(value)) {
    out += ".nan";
  } else if (std::isinf(value)) {
    out += value < 0 ? "-.inf" : ".inf";
  } else {
    std::string text = python_float(value);
    if (text.find('.') == text.npos) text.insert(text.find('e'), ".0");
    out += text;
  }
}

// A date or a datetime in exactly the form that is read back as the same tag.
bool is_timestamp(const Tag& tag) {
  if ((tag.type != "datetime" && tag.type != "date") || !tag.value->is_string()) return false;
  const auto& text = tag.value->get_ref<const std::string&>();
  const auto time = parse_calendar_time(text);
  if (!time) return false;
  return text == format_date(*time) + (tag.type == "date" ? "" : "T" + format_time_of_day(*time));
}

void append_value(const Json& value, std::string& out) {
  if (value.is_array()) {
    out += '[';
    bool first = true;
    for (const auto& element : value) {
      if (!first) out += ", ";
      first = false;
      append_value(element, out);
    }
    out += ']';
  } else if (value.is_object()) {
    const auto tag = find_tag(value);
    const auto bytes = tag ? bytes_of_tag(*tag) : std::nullopt;
    if (bytes) {
      out += "!!binary \"";
      base64_encode(*bytes, out);
      out += '"';
      return;
    }
    if (tag && is_timestamp(*tag)) {
      out += "!!timestamp ";
      append_text(tag->value->get_ref<const std::string&>(), out);
      return;
    }
    out += '{';
    bool first = true;
    for (const auto& [key, member] : value.get_ref<const Json::object_t&>()) {
      if (!first) out += ", ";
      first = false;
      // A key without "?" must end within 1024 characters.
      const bool marked = key.size() > 100;
      if (marked) out += "? ";
      append_text(key, out);
      out += marked ? " : " : ": ";
      append_value(member, out);
    }
    out += '}';
  } else if (value.is_string()) {
    append_text(value.get_ref<const std::string&>(), out);
  } else if (value.is_number_float()) {
    append_float(value.get<double>(), out);
  } else {
    dump_json(value, out);
  }
}

}  // namespace

std::string dump_yaml(const Json& value) {
  std::string out;
  append_value(value, out);
  out += '\n';
  return out;
}

}  // namespace celeriac
