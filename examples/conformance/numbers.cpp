#include "conformance/numbers.hpp"

#include "worker/errors.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string>

namespace conformance {
namespace {

using celeriac::Json;
__extension__ using Wide = __int128;

constexpr std::size_t wide_digits = 37;  // what fits a Wide whatever the digits are

// Integers beyond 64 bits are digits in a Json; those up to 37 digits can be computed with.
std::optional<Wide> integer(const Json& value) {
  if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
  if (value.is_number_unsigned()) return static_cast<Wide>(value.get<std::uint64_t>());
  if (value.is_number_integer()) return static_cast<Wide>(value.get<std::int64_t>());
  if (!celeriac::is_big_integer(value)) return {};
  const std::string digits = celeriac::big_integer_digits(value);
  const bool negative = digits.front() == '-';
  if (digits.size() > wide_digits) return {};
  Wide result = 0;
  for (const char c : std::string_view(digits).substr(negative)) result = result * 10 + (c - '0');
  return negative ? -result : result;
}

double as_double(const Json& value) {
  if (const auto whole = integer(value)) return static_cast<double>(*whole);
  if (celeriac::is_big_integer(value))
    return std::strtod(celeriac::big_integer_digits(value).c_str(), nullptr);
  return value.get<double>();
}

Json from_wide(Wide value) {
  if (value >= std::numeric_limits<std::int64_t>::min() &&
      value <= std::numeric_limits<std::int64_t>::max()) {
    return static_cast<std::int64_t>(value);
  }
  if (value > 0 && value <= std::numeric_limits<std::uint64_t>::max())
    return static_cast<std::uint64_t>(value);
  std::string digits;
  for (Wide rest = value; rest != 0; rest /= 10)
    digits += static_cast<char>('0' + std::abs(static_cast<int>(rest % 10)));
  if (value < 0) digits += '-';
  std::reverse(digits.begin(), digits.end());
  return celeriac::big_integer(digits);
}

std::string python_type(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "NoneType";
    case Json::value_t::boolean:
      return "bool";
    case Json::value_t::number_float:
      return "float";
    case Json::value_t::string:
      return "str";
    case Json::value_t::array:
      return "list";
    case Json::value_t::object:
      return "dict";
    default:
      return "int";
  }
}

[[noreturn]] void refuse(const char* sign, const Json& x, const Json& y) {
  throw celeriac::TaskError("TypeError",
                            Json::array({std::string("unsupported operand type(s) for ") + sign + ": '" +
                                         python_type(x) + "' and '" + python_type(y) + "'"}));
}

bool is_numeric(const Json& value) { return value.is_boolean() || is_number(value); }

}  // namespace

bool is_number(const Json& value) { return value.is_number() || celeriac::is_big_integer(value); }

Json python_add(const Json& x, const Json& y) {
  if (is_numeric(x) && is_numeric(y)) {
    const auto a = integer(x), b = integer(y);
    if (a && b) return from_wide(*a + *b);
    return as_double(x) + as_double(y);
  }
  if (x.is_string() && y.is_string())
    return x.get_ref<const std::string&>() + y.get_ref<const std::string&>();
  if (x.is_array() && y.is_array()) {
    Json joined = x;
    joined.insert(joined.end(), y.begin(), y.end());
    return joined;
  }
  refuse("+", x, y);
}

Json python_multiply(const Json& x, const Json& y) {
  if (!is_numeric(x) || !is_numeric(y)) refuse("*", x, y);
  const auto a = integer(x), b = integer(y);
  Wide product = 0;
  if (a && b && !__builtin_mul_overflow(*a, *b, &product)) return from_wide(product);
  return as_double(x) * as_double(y);
}

}  // namespace conformance
