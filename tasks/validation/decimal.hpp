// Exact decimal arithmetic for amounts. Sixty digits hold any sum of ten thousand amounts and
// any product of two, so nothing is ever rounded.
#pragma once

#include <boost/multiprecision/cpp_dec_float.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace celeriac {

using Decimal =
    boost::multiprecision::number<boost::multiprecision::cpp_dec_float<60>, boost::multiprecision::et_off>;

// "-1234.50"; at most 14 digits before the point and 6 behind it, no exponent, no grouping.
std::optional<Decimal> parse_decimal(std::string_view text);

// Plain notation with at least two places: "1234.50", "0.005".
std::string to_text(const Decimal& value);

}  // namespace celeriac
