#include "tasks/validation/decimal.hpp"

#include "tasks/store/text_values.hpp"

namespace celeriac {

std::optional<Decimal> parse_decimal(std::string_view text) {
  if (const auto plain = amount_value(text)) return Decimal(*plain);
  return std::nullopt;
}

std::string to_text(const Decimal& value) {
  // Products of two amounts have at most twelve places; the zeros behind the second are dropped.
  std::string text = value.str(12, std::ios_base::fixed);
  const auto point = text.find('.');
  while (text.size() > point + 3 && text.back() == '0') text.pop_back();
  return text;
}

}  // namespace celeriac
