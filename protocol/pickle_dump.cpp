#include "protocol/pickle.hpp"
#include "protocol/tagged.hpp"

#include <bit>
#include <cstdint>
#include <limits>

namespace celeriac {
namespace {

class PickleWriter {
 public:
  PickleWriter() { out_ = "\x80\x04"; }  // 4 for names with dots; Python reads it since 3.4

  void value(const Json& json) {
    using Type = Json::value_t;
    switch (json.type()) {
      case Type::null:
      case Type::discarded:
        out_ += 'N';
        break;
      case Type::boolean:
        out_ += json.get<bool>() ? '\x88' : '\x89';
        break;
      case Type::number_integer:
        integer(json.get<std::int64_t>());
        break;
      case Type::number_unsigned:
        whole(json.get<std::uint64_t>());
        break;
      case Type::number_float:
        real(json.get<double>());
        break;
      case Type::string:
        text(json.get_ref<const std::string&>());
        break;
      case Type::binary:
        digits(big_integer_digits(json));
        break;
      case Type::array:
        list(json);
        break;
      case Type::object:
        dict(json);
        break;
    }
  }

  void exception(const Json& json) {
    out_ += "}(";
    for (const auto& [key, member] : json.get_ref<const Json::object_t&>()) {
      text(key);
      if (key == "exc_message" && member.is_array()) {
        out_ += '(';
        for (const auto& element : member) value(element);
        out_ += 't';
      } else {
        value(member);
      }
    }
    out_ += 'u';
  }

  std::string finish() { return std::move(out_ += '.'); }

 private:
  void list(const Json& json) {
    out_ += ']';
    if (json.empty()) return;
    out_ += '(';
    for (const auto& element : json) value(element);
    out_ += 'e';
  }

  void dict(const Json& json) {
    if (const auto tag = find_tag(json); tag && tagged(json, *tag)) return;
    out_ += '}';
    if (json.empty()) return;
    out_ += '(';
    for (const auto& [key, member] : json.get_ref<const Json::object_t&>()) {
      text(key);
      value(member);
    }
    out_ += 'u';
  }

  // What Python calls with the value's text to have the value.
  static std::string_view maker_of(std::string_view type) {
    if (type == "decimal") return "cdecimal\nDecimal\n";
    if (type == "uuid") return "cuuid\nUUID\n";
    if (type == "datetime") return "cdatetime\ndatetime.fromisoformat\n";
    if (type == "date") return "cdatetime\ndate.fromisoformat\n";
    if (type == "time") return "cdatetime\ntime.fromisoformat\n";
    return {};
  }

  bool tagged(const Json& json, const Tag& tag) {
    if (const auto bytes = bytes_of_tag(tag)) {
      out_ += 'B';
      little_endian(bytes->size(), 4);
      out_ += *bytes;
      return true;
    }
    const std::string_view maker = maker_of(tag.type);
    if (maker.empty()) return false;
    const auto content = tagged_text(json);
    if (!content) return false;
    out_ += maker;
    text(*content);
    out_ += "\x85R";  // a tuple of one, called with it
    return true;
  }

  void integer(std::int64_t n) {
    if (n >= 0) return whole(static_cast<std::uint64_t>(n));
    if (n < std::numeric_limits<std::int32_t>::min()) return digits(std::to_string(n));
    out_ += 'J';
    little_endian(static_cast<std::uint64_t>(n), 4);
  }

  void whole(std::uint64_t n) {
    if (n < 0x100) {
      out_ += 'K';
      little_endian(n, 1);
    } else if (n < 0x10000) {
      out_ += 'M';
      little_endian(n, 2);
    } else if (n <= 0x7FFFFFFF) {
      out_ += 'J';
      little_endian(n, 4);
    } else {
      digits(std::to_string(n));
    }
  }

  void digits(const std::string& decimal) { out_.append("L").append(decimal).append("L\n"); }

  void real(double number) {
    out_ += 'G';
    const auto bits = std::bit_cast<std::uint64_t>(number);
    for (int shift = 56; shift >= 0; shift -= 8) out_ += static_cast<char>(bits >> shift & 0xFF);
  }

  void text(const std::string& s) {
    out_ += 'X';
    little_endian(s.size(), 4);
    out_ += s;
  }

  void little_endian(std::uint64_t n, int bytes) {
    for (int i = 0; i < bytes; ++i) out_ += static_cast<char>(n >> 8 * i & 0xFF);
  }

  std::string out_;
};

bool is_exception(const Json& value) {
  return value.is_object() && value.size() == 3 && value.contains("exc_type") &&
         value.contains("exc_message") && value.contains("exc_module");
}

}  // namespace

std::string pickle_dump(const Json& value) {
  PickleWriter writer;
  if (is_exception(value)) {
    writer.exception(value);
  } else {
    writer.value(value);
  }
  return writer.finish();
}

}  // namespace celeriac
