#include "tasks/store/text_values.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>

namespace celeriac {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";  // U+FFFD

// Length of the valid UTF-8 sequence at the front of `text`; 0 when there is none.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, beyond U+10FFFF.
  if ((first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) > 0x9F) ||
      (first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) > 0x8F)) {
    return 0;
  }
  return length;
}

bool is_number(std::string_view digits, std::size_t min_length, std::size_t max_length) {
  return digits.size() >= min_length && digits.size() <= max_length &&
         std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
}

int number(std::string_view digits) {
  int value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

}  // namespace

std::string clean_text(std::string_view text, std::size_t max_characters, bool keep_lines) {
  std::string out;
  std::size_t characters = 0;
  while (!text.empty() && characters < max_characters) {
    const std::size_t length = sequence_length(text);
    const char first = text.front();
    const bool line = first == '\n' || first == '\t';
    if (length == 0) {
      out += replacement;
    } else if (length == 1 && (static_cast<unsigned char>(first) < 0x20 || first == 0x7F)) {
      out += line && keep_lines ? first : ' ';
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
    ++characters;
  }
  const auto begin = out.find_first_not_of(" \n\t");
  if (begin == std::string::npos) return {};
  return out.substr(begin, out.find_last_not_of(" \n\t") - begin + 1);
}

SqlValue text_value(std::string_view text, std::size_t max_characters) {
  auto clean = clean_text(text, max_characters);
  if (clean.empty()) return std::nullopt;
  return clean;
}

SqlValue date_value(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const auto year = text.substr(0, 4), month = text.substr(5, 2), day = text.substr(8, 2);
  if (!is_number(year, 4, 4) || !is_number(month, 2, 2) || !is_number(day, 2, 2)) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(number(year)),
                                         std::chrono::month(static_cast<unsigned>(number(month))),
                                         std::chrono::day(static_cast<unsigned>(number(day)))};
  if (!date.ok() || number(year) == 0) return std::nullopt;
  return std::string(text);
}

SqlValue amount_value(std::string_view text) {
  std::string_view digits = text;
  if (digits.starts_with('-')) digits.remove_prefix(1);
  const auto point = digits.find('.');
  const auto whole = digits.substr(0, point);
  if (!is_number(whole, 1, 14)) return std::nullopt;
  if (point != std::string_view::npos && !is_number(digits.substr(point + 1), 1, 6)) return std::nullopt;
  return std::string(text);
}

std::string confidence_value(double confidence) {
  if (!(confidence > 0)) return "0.00";
  const int hundredths = static_cast<int>(std::lround(std::min(confidence, 1.0) * 100));
  const std::string text = std::to_string(1000 + hundredths);
  return std::string(1, hundredths == 100 ? '1' : '0') + "." + text.substr(2);
}

}  // namespace celeriac
