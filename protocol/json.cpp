// The reader half of protocol/json.hpp: JSON text to a tree. Members and elements are gathered on
// one stack each and moved into a container of exactly the right size.
#include "protocol/json.hpp"

#include "protocol/json_object.hpp"
#include "protocol/json_reader.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <vector>

namespace celeriac {
namespace {

constexpr std::size_t max_digits = 4300;  // Python's own bound on the length of an integer

// from_chars leaves the value alone when it does not fit; Python says inf or 0.
double out_of_range(std::string_view token) {
  const bool negative = token.front() == '-';
  const auto e = token.find_first_of("eE");
  long exponent = 0;
  if (e != std::string_view::npos) {
    auto text = token.substr(e + 1);
    const bool down = text.front() == '-';
    if (text.front() == '-' || text.front() == '+') text.remove_prefix(1);
    if (std::from_chars(text.data(), text.data() + text.size(), exponent).ec != std::errc()) {
      exponent = std::numeric_limits<int>::max();
    }
    if (down) exponent = -exponent;
  }
  // Digits in front of the point move the scale up, zeros behind it move it down.
  const auto mantissa = token.substr(negative, e == std::string_view::npos ? e : e - negative);
  const auto point = std::min(mantissa.find('.'), mantissa.size());
  const auto leading = mantissa.find_first_of("123456789");
  long scale = 0;
  if (leading != std::string_view::npos) {
    scale = leading < point ? static_cast<long>(point - leading) : -static_cast<long>(leading - point - 1);
  }
  const double size = scale + exponent > 0 ? std::numeric_limits<double>::infinity() : 0.0;
  return negative ? -size : size;
}

double to_double(std::string_view token) {
  if (token.back() == 'N') return std::numeric_limits<double>::quiet_NaN();
  if (token.back() == 'y') return (token.front() == '-' ? -1 : 1) * std::numeric_limits<double>::infinity();
  double value = 0;
  const auto [end, ec] = std::from_chars(token.data(), token.data() + token.size(), value);
  return ec == std::errc::result_out_of_range ? out_of_range(token) : value;
}

class Reader {
 public:
  Reader(JsonScanner& in, std::size_t max_depth) : in_(in), max_depth_(max_depth) {}

  bool read_value(Json& value, std::size_t depth) {
    switch (in_.peek()) {
      case '{':
        return depth < max_depth_ ? read_object(value, depth) : in_.fail("nested too deeply");
      case '[':
        return depth < max_depth_ ? read_array(value, depth) : in_.fail("nested too deeply");
      case '"':
        return read_string(value);
      case 'n':
        value = nullptr;
        return in_.read_literal("null");
      case 't':
      case 'f': {
        bool flag = false;
        if (!in_.read_bool(flag)) return false;
        value = flag;
        return true;
      }
      case '\0':
        return in_.fail("unexpected end");
      default:
        return read_number(value);
    }
  }

 private:
  bool read_string(Json& value) {
    JsonSlice slice;
    if (!in_.read_string(slice)) return false;
    value = std::string();
    slice.append_to(value.get_ref<std::string&>());
    return true;
  }

  bool read_number(Json& value) {
    std::string_view token;
    bool integer = false;
    if (!in_.read_number(token, integer)) return false;
    if (!integer) {
      value = to_double(token);
      return true;
    }
    const char* const end = token.data() + token.size();
    std::uint64_t positive = 0;
    if (token.front() != '-' && std::from_chars(token.data(), end, positive).ec == std::errc()) {
      value = positive;
      return true;
    }
    std::int64_t number = 0;
    if (token.front() == '-' && std::from_chars(token.data(), end, number).ec == std::errc()) {
      value = number;
      return true;
    }
    if (token.size() > max_digits) return in_.fail("integer too long");
    value = big_integer(token);
    return true;
  }

  bool read_array(Json& value, std::size_t depth) {
    const std::size_t base = values_.size();
    in_.enter_array();
    while (in_.next_element()) {
      Json element;
      if (!read_value(element, depth + 1)) return false;
      values_.push_back(std::move(element));
    }
    if (in_.failed()) return false;
    value = Json::array();
    auto& array = value.get_ref<Json::array_t&>();
    const auto first = values_.begin() + static_cast<std::ptrdiff_t>(base);
    array.assign(std::make_move_iterator(first), std::make_move_iterator(values_.end()));
    values_.resize(base);
    return true;
  }

  bool read_object(Json& value, std::size_t depth) {
    const std::size_t base = members_.size();
    in_.enter_object();
    JsonSlice key;
    while (in_.next_key(key)) {
      std::string name;
      key.append_to(name);
      Json member;
      if (!read_value(member, depth + 1)) return false;
      members_.emplace_back(std::move(name), std::move(member));
    }
    if (in_.failed()) return false;
    value = take_object(members_, base);
    return true;
  }

  JsonScanner& in_;
  const std::size_t max_depth_;
  std::vector<Json> values_;
  Members members_;
};

}  // namespace

Expected<Json> parse_json(std::string_view text, JsonLimits limits) {
  if (text.size() > limits.max_bytes)
    return unexpected("JSON: longer than " + std::to_string(limits.max_bytes) + " bytes");
  JsonScanner in(text);
  Json value;
  if (!read_json(in, value, limits.max_depth) || !in.finish()) return unexpected("JSON: " + in.error());
  return value;
}

bool read_json(JsonScanner& in, Json& value, std::size_t max_depth) {
  return Reader(in, max_depth).read_value(value, 0);
}

Json big_integer(std::string_view digits) {
  return Json::binary({digits.begin(), digits.end()}, big_integer_subtype);
}

bool is_big_integer(const Json& value) {
  return value.is_binary() && value.get_binary().has_subtype() &&
         value.get_binary().subtype() == big_integer_subtype;
}

std::string big_integer_digits(const Json& value) {
  const auto& bytes = value.get_binary();
  return {bytes.begin(), bytes.end()};
}

}  // namespace celeriac
