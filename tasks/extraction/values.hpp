// Dates, amounts and currencies as people write them, brought to one form each.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace celeriac {

// How 03/04/2024 is meant. Years written first and months written as words need no hint.
enum class DateOrder { day_first, month_first };

// The whole text must be one date: "13.06.2018", "2018-06-13", "13/6/18", "June 13, 2018",
// "13. Juni 2018", "13-JUN-2018". Returns yyyy-mm-dd. Years 1990-2099.
std::optional<std::string> parse_date(std::string_view text, DateOrder order = DateOrder::day_first);

// Whether the date says by itself which order it uses ("06/13/2018" does).
std::optional<DateOrder> implied_order(std::string_view text);

// The whole text must be one amount, perhaps with a currency before or after it and a
// sign at either end or parentheses: "1.234,56 €", "$ 1,234.56", "12,50-", "(3.00)".
// `decimal_mark` settles what the text leaves open ("1.234"): ',' or '.', or 0 when unknown,
// which takes three digits after the only separator as a group.
struct Amount {
  std::string value;     // "-1234.56"; the decimals as written, without zeros beyond the second
  int decimals = 0;      // as written
  std::string currency;  // ISO code when one stands with the amount
};
std::optional<Amount> parse_amount(std::string_view text, char decimal_mark = 0);

// A normal-form amount in cents, rounded half away from zero; nothing beyond 15 digits.
std::optional<std::int64_t> cents(std::string_view normal);
std::string from_cents(std::int64_t);

// "EUR" for "€", "Euro", "EUR"; nothing for a text that is no currency. "$" is USD.
std::optional<std::string> parse_currency(std::string_view text);

}  // namespace celeriac
