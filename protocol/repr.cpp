#include "protocol/repr.hpp"

#include "protocol/iso8601.hpp"
#include "protocol/tagged.hpp"
#include "protocol/utf8.hpp"

#include <algorithm>
#include <limits>

namespace celeriac {
namespace {

struct Range {
  std::uint32_t first, last;
};
// What str.isprintable() denies, apart from ASCII: controls, format characters, separators, surrogates and
// private use. Code points that are not assigned yet are shown as they are.
constexpr Range hidden[] = {{0x7F, 0xA0},       {0xAD, 0xAD},       {0x600, 0x605},     {0x61C, 0x61C},
                            {0x6DD, 0x6DD},     {0x70F, 0x70F},     {0x890, 0x891},     {0x8E2, 0x8E2},
                            {0x1680, 0x1680},   {0x180E, 0x180E},   {0x2000, 0x200F},   {0x2028, 0x202F},
                            {0x205F, 0x206F},   {0x3000, 0x3000},   {0xD800, 0xF8FF},   {0xFEFF, 0xFEFF},
                            {0xFFF0, 0xFFFB},   {0xFFFE, 0xFFFF},   {0x110BD, 0x110BD}, {0x110CD, 0x110CD},
                            {0x13430, 0x1343F}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0001, 0x10FFFF}};

bool is_printable(std::uint32_t code) {
  if (code < 0x7F) return code >= 0x20;
  const auto* range = std::lower_bound(std::begin(hidden), std::end(hidden), code,
                                       [](const Range& r, std::uint32_t c) { return r.last < c; });
  return range == std::end(hidden) || code < range->first;
}

void append_hex(char kind, int digits, std::uint32_t code, std::string& out) {
  out += '\\';
  out += kind;
  for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4) out += "0123456789abcdef"[code >> shift & 15];
}

class Repr {
 public:
  // Writing stops soon after `budget` bytes.
  explicit Repr(std::size_t budget) : budget_(budget) {}

  void value(const Json& json) {
    if (full()) return;
    using Type = Json::value_t;
    switch (json.type()) {
      case Type::null:
      case Type::discarded:
        out_ += "None";
        break;
      case Type::boolean:
        out_ += json.get<bool>() ? "True" : "False";
        break;
      case Type::number_float:
        out_ += python_float(json.get<double>());
        break;
      case Type::string:
        text(json.get_ref<const std::string&>());
        break;
      case Type::number_integer:
      case Type::number_unsigned:
      case Type::binary:
        dump_json(json, out_);
        break;
      case Type::array:
        list(json.get_ref<const Json::array_t&>(), '[', ']');
        break;
      case Type::object:
        object(json);
        break;
    }
  }

  void tuple(const Json::array_t& array) {
    list(array, '(', array.size() == 1 ? ',' : ')');
    if (array.size() == 1) out_ += ')';
  }

  std::string take() { return std::move(out_); }

 private:
  bool full() const { return out_.size() > budget_; }

  void list(const Json::array_t& array, char open, char close) {
    out_ += open;
    bool first = true;
    for (const auto& element : array) {
      if (full()) return;
      if (!first) out_ += ", ";
      first = false;
      value(element);
    }
    out_ += close;
  }

  void object(const Json& json) {
    if (const auto tag = find_tag(json); tag && tagged(json, *tag)) return;
    out_ += '{';
    bool first = true;
    for (const auto& [key, member] : json.get_ref<const Json::object_t&>()) {
      if (full()) return;
      if (!first) out_ += ", ";
      first = false;
      text(key);
      out_ += ": ";
      value(member);
    }
    out_ += '}';
  }

  char quote(std::string_view s) const {
    return s.find('\'') != s.npos && s.find('"') == s.npos ? '"' : '\'';
  }

  // True when it was one of the common escapes of str and bytes.
  bool escape(std::uint32_t code, char quote_mark) {
    switch (code) {
      case '\n':
        out_ += "\\n";
        return true;
      case '\r':
        out_ += "\\r";
        return true;
      case '\t':
        out_ += "\\t";
        return true;
      case '\\':
        out_ += "\\\\";
        return true;
      default:
        break;
    }
    if (code != static_cast<unsigned char>(quote_mark)) return false;
    out_ += '\\';
    out_ += quote_mark;
    return true;
  }

  void text(std::string_view s) {
    const char mark = quote(s);
    out_ += mark;
    const char* p = s.data();
    const char* const end = p + s.size();
    while (p != end && !full()) {
      const char* const start = p;
      auto code = decode_utf8(p, end, Surrogates::accept);
      if (code < 0) {
        code = 0xFFFD;
        ++p;
        out_ += "\xEF\xBF\xBD";
        continue;
      }
      const auto c = static_cast<std::uint32_t>(code);
      if (escape(c, mark)) continue;
      if (is_printable(c)) {
        out_.append(start, p);
      } else if (c < 0x100) {
        append_hex('x', 2, c, out_);
      } else if (c < 0x10000) {
        append_hex('u', 4, c, out_);
      } else {
        append_hex('U', 8, c, out_);
      }
    }
    out_ += mark;
  }

  void bytes(std::string_view s) {
    const char mark = quote(s);
    out_ += 'b';
    out_ += mark;
    for (const char byte : s) {
      if (full()) return;
      const auto c = static_cast<unsigned char>(byte);
      if (escape(c, mark)) continue;
      if (c >= 0x20 && c < 0x7F) {
        out_ += byte;
      } else {
        append_hex('x', 2, c, out_);
      }
    }
    out_ += mark;
  }

  void call(std::string_view name, std::string_view argument) {
    out_ += name;
    out_ += '(';
    text(argument);
    out_ += ')';
  }

  static std::string date_numbers(const CalendarTime& t) {
    return std::to_string(t.year) + ", " + std::to_string(t.month) + ", " + std::to_string(t.day);
  }

  // Seconds and microseconds are left out from the right while they are zero.
  static std::string clock_numbers(const CalendarTime& t) {
    std::string out = std::to_string(t.hour) + ", " + std::to_string(t.minute);
    if (t.second != 0 || t.microsecond != 0) out += ", " + std::to_string(t.second);
    if (t.microsecond != 0) out += ", " + std::to_string(t.microsecond);
    return out;
  }

  static std::string zone(const CalendarTime& t) {
    if (!t.offset) return {};
    if (*t.offset == 0) return ", tzinfo=datetime.timezone.utc";
    const int days = *t.offset < 0 ? -1 : 0;
    const std::string seconds = "seconds=" + std::to_string(*t.offset - days * 86400);
    return ", tzinfo=datetime.timezone(datetime.timedelta(" + std::string(days ? "days=-1, " : "") + seconds +
           "))";
  }

  bool tagged(const Json& json, const Tag& tag) {
    if (auto data = bytes_of_tag(tag)) {
      bytes(*data);
      return true;
    }
    const auto content = tagged_text(json);
    if (!content) return false;
    if (tag.type == "decimal") {
      call("Decimal", *content);
    } else if (tag.type == "uuid") {
      call("UUID", *content);
    } else if (tag.type == "time") {
      const auto t = parse_time_of_day(*content);
      if (!t) return false;
      out_ += "datetime.time(" + clock_numbers(*t) + zone(*t) + ")";
    } else {
      const auto t = parse_calendar_time(*content);
      if (!t) return false;
      out_ += tag.type == "date"
                  ? "datetime.date(" + date_numbers(*t) + ")"
                  : "datetime.datetime(" + date_numbers(*t) + ", " + clock_numbers(*t) + zone(*t) + ")";
    }
    return true;
  }

  std::string out_;
  const std::size_t budget_;
};

// A character has at most ten bytes here ("\U0001f600"), counted once cut() has the text.
std::size_t budget(std::size_t max) {
  return max == 0 ? std::numeric_limits<std::size_t>::max() : max * 4 + 16;
}

// `max` characters, the last three of them dots.
std::string cut(std::string text, std::size_t max) {
  if (max == 0 || text.size() <= max) return text;
  constexpr std::string_view dots = "...";
  const std::size_t keep = max > dots.size() ? max - dots.size() : 0;
  std::size_t characters = 0, kept_bytes = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) == 0x80) continue;
    if (characters == keep) kept_bytes = i;
    if (++characters > max) break;
  }
  if (characters <= max) return text;
  text.resize(kept_bytes);
  return text.append(dots);
}

}  // namespace

std::string python_repr(const Json& value, std::size_t max) {
  Repr repr(budget(max));
  repr.value(value);
  return cut(repr.take(), max);
}

std::string python_args_repr(const Json& array, std::size_t max) {
  Repr repr(budget(max));
  if (array.is_array()) {
    repr.tuple(array.get_ref<const Json::array_t&>());
  } else {
    repr.value(array);
  }
  return cut(repr.take(), max);
}

}  // namespace celeriac
