#include "tasks/extraction/values.hpp"

#include "tasks/extraction/text.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <vector>

namespace celeriac {
namespace {

bool digit(char c) { return c >= '0' && c <= '9'; }
bool letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) || static_cast<signed char>(c) < 0; }

struct MonthName {
  std::string_view name;
  int month;
};
// Folded; a month is also recognised by the first three or more letters of one of these.
constexpr std::array month_names{
    MonthName{"january", 1},    MonthName{"januar", 1},     MonthName{"janner", 1},
    MonthName{"janvier", 1},    MonthName{"gennaio", 1},    MonthName{"enero", 1},
    MonthName{"januari", 1},    MonthName{"february", 2},   MonthName{"februar", 2},
    MonthName{"fevrier", 2},    MonthName{"febbraio", 2},   MonthName{"febrero", 2},
    MonthName{"februari", 2},   MonthName{"march", 3},      MonthName{"marz", 3},
    MonthName{"maerz", 3},      MonthName{"mars", 3},       MonthName{"marzo", 3},
    MonthName{"maart", 3},      MonthName{"mrz", 3},        MonthName{"april", 4},
    MonthName{"avril", 4},      MonthName{"aprile", 4},     MonthName{"abril", 4},
    MonthName{"may", 5},        MonthName{"mai", 5},        MonthName{"maggio", 5},
    MonthName{"mayo", 5},       MonthName{"mei", 5},        MonthName{"june", 6},
    MonthName{"juni", 6},       MonthName{"juin", 6},       MonthName{"giugno", 6},
    MonthName{"junio", 6},      MonthName{"july", 7},       MonthName{"juli", 7},
    MonthName{"juillet", 7},    MonthName{"luglio", 7},     MonthName{"julio", 7},
    MonthName{"august", 8},     MonthName{"aout", 8},       MonthName{"agosto", 8},
    MonthName{"augustus", 8},   MonthName{"september", 9},  MonthName{"septembre", 9},
    MonthName{"settembre", 9},  MonthName{"septiembre", 9}, MonthName{"october", 10},
    MonthName{"oktober", 10},   MonthName{"octobre", 10},   MonthName{"ottobre", 10},
    MonthName{"octubre", 10},   MonthName{"november", 11},  MonthName{"novembre", 11},
    MonthName{"noviembre", 11}, MonthName{"december", 12},  MonthName{"dezember", 12},
    MonthName{"decembre", 12},  MonthName{"dicembre", 12},  MonthName{"diciembre", 12},
};

int month_of(std::string_view word) {
  const std::string folded = fold(word);
  if (folded.size() < 3) return 0;
  if (folded == "jun") return 6;
  if (folded == "jul") return 7;
  for (const MonthName& m : month_names)
    if (m.name == folded || (folded.size() <= 4 && m.name.starts_with(folded))) return m.month;
  return 0;
}

struct DatePart {
  int number = -1;  // -1 for a word
  std::size_t digits = 0;
  std::string_view word;
};

// Splits into numbers and words; nothing when a sign appears that dates do not have.
std::optional<std::vector<DatePart>> date_parts(std::string_view text) {
  std::vector<DatePart> parts;
  for (std::size_t i = 0; i < text.size();) {
    if (digit(text[i])) {
      std::size_t end = i;
      while (end < text.size() && digit(text[end])) ++end;
      if (end - i > 8) return std::nullopt;
      DatePart part;
      std::from_chars(text.data() + i, text.data() + end, part.number);
      part.digits = end - i;
      parts.push_back(part);
      i = end;
    } else if (letter(text[i])) {
      std::size_t end = i;
      while (end < text.size() && letter(text[end])) ++end;
      parts.push_back({-1, 0, text.substr(i, end - i)});
      i = end;
    } else if (std::string_view(" .,/-'").find(text[i]) != std::string_view::npos) {
      ++i;
    } else {
      return std::nullopt;
    }
    if (parts.size() > 6) return std::nullopt;
  }
  return parts;
}

std::optional<std::string> iso(int year, std::size_t year_digits, int month, int day) {
  if (year_digits == 2) year += year < 70 ? 2000 : 1900;
  if (year < 1990 || year > 2099 || month < 1 || month > 12 || day < 1) return std::nullopt;
  constexpr std::array<int, 12> lengths{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  if (day > lengths[static_cast<std::size_t>(month - 1)] + (month == 2 && leap ? 1 : 0)) return std::nullopt;
  std::string out = "0000-00-00";
  auto put = [&](std::size_t at, int value, int width) {
    for (int i = width - 1; i >= 0; --i, value /= 10)
      out[at + static_cast<std::size_t>(i)] = static_cast<char>('0' + value % 10);
  };
  put(0, year, 4);
  put(5, month, 2);
  put(8, day, 2);
  return out;
}

std::optional<std::string> worded_date(const std::vector<DatePart>& parts) {
  int month = 0, day = 0, year = 0;
  std::size_t year_digits = 0;
  for (const DatePart& p : parts) {
    if (p.number >= 0) {
      if (p.digits == 4 && year_digits == 0) {
        year = p.number;
        year_digits = 4;
      } else if (p.digits <= 2 && day == 0) {
        day = p.number;
      } else if (p.digits == 2 && year_digits == 0) {
        year = p.number;
        year_digits = 2;
      } else {
        return std::nullopt;
      }
    } else if (int m = month_of(p.word); m != 0 && month == 0) {
      month = m;
    } else {
      constexpr std::array<std::string_view, 10> fillers{"st", "nd", "rd",  "th",  "er",
                                                         "de", "of", "del", "den", "el"};
      if (std::ranges::find(fillers, fold(p.word)) == fillers.end()) return std::nullopt;
    }
  }
  if (month == 0 || year_digits == 0) return std::nullopt;
  return iso(year, year_digits, month, day);
}

bool numeric_shape(std::string_view text) {
  // One kind of separator between the numbers, no blanks except around it.
  char separator = 0;
  int separators = 0;
  for (char c : text) {
    if (digit(c) || c == ' ') continue;
    if (c != '.' && c != '/' && c != '-') return false;
    if (separator != 0 && c != separator) return false;
    separator = c;
    ++separators;
  }
  return separators == 2;
}

}  // namespace

std::optional<std::string> parse_date(std::string_view text, DateOrder order) {
  text = trim_value(text);
  if (text.size() < 6 || text.size() > 32) return std::nullopt;
  while (text.ends_with('.')) text.remove_suffix(1);
  auto parts = date_parts(text);
  if (!parts || parts->size() < 3) return std::nullopt;
  if (std::ranges::any_of(*parts, [](const DatePart& p) { return p.number < 0; })) return worded_date(*parts);
  if (parts->size() != 3 || !numeric_shape(text)) return std::nullopt;
  const auto& p = *parts;
  if (p[0].digits == 4)
    return p[1].digits <= 2 && p[2].digits <= 2 ? iso(p[0].number, 4, p[1].number, p[2].number)
                                                : std::nullopt;
  if (p[0].digits > 2 || p[1].digits > 2 || (p[2].digits != 4 && p[2].digits != 2)) return std::nullopt;
  int day = p[0].number, month = p[1].number;
  const bool dotted = text.find('.') != std::string_view::npos;
  if ((order == DateOrder::month_first && !dotted) || (month > 12 && day <= 12)) std::swap(day, month);
  if (month > 12 && day <= 12) std::swap(day, month);
  return iso(p[2].number, p[2].digits, month, day);
}

std::optional<DateOrder> implied_order(std::string_view text) {
  text = trim_value(text);
  auto parts = date_parts(text);
  if (!parts || parts->size() != 3 || !numeric_shape(text)) return std::nullopt;
  const auto& p = *parts;
  if (p[0].digits > 2 || p[0].digits == 0 || p[1].digits == 0 || p[1].digits > 2 || p[2].digits < 2)
    return std::nullopt;
  if (p[0].number > 12 && p[0].number <= 31 && p[1].number <= 12) return DateOrder::day_first;
  if (p[1].number > 12 && p[1].number <= 31 && p[0].number <= 12) return DateOrder::month_first;
  return std::nullopt;
}

std::optional<std::string> parse_currency(std::string_view text) {
  text = trim_value(text);
  struct Symbol {
    std::string_view written, code;
  };
  static constexpr std::array symbols{
      Symbol{"€", "EUR"},  Symbol{"$", "USD"},   Symbol{"US$", "USD"},  Symbol{"£", "GBP"},
      Symbol{"¥", "JPY"},  Symbol{"₹", "INR"},   Symbol{"Rs", "INR"},   Symbol{"Rs.", "INR"},
      Symbol{"RM", "MYR"}, Symbol{"Fr.", "CHF"}, Symbol{"SFr.", "CHF"}, Symbol{"C$", "CAD"},
      Symbol{"A$", "AUD"}, Symbol{"zł", "PLN"},  Symbol{"Kč", "CZK"},   Symbol{"S$", "SGD"},
  };
  for (const Symbol& s : symbols)
    if (s.written == text) return std::string(s.code);
  const std::string folded = fold(text);
  if (folded == "euro" || folded == "euros") return "EUR";
  if (folded == "usdollars" || folded == "usdollar") return "USD";
  static constexpr std::array<std::string_view, 28> codes{
      "EUR", "USD", "GBP", "CHF", "JPY", "INR", "CAD", "AUD", "NZD", "SEK", "NOK", "DKK", "PLN", "CZK",
      "HUF", "RON", "BGN", "MYR", "SGD", "CNY", "HKD", "TRY", "BRL", "MXN", "ZAR", "AED", "ISK", "ILS"};
  if (std::ranges::find(codes, text) != codes.end()) return std::string(text);
  return std::nullopt;
}

std::optional<Amount> parse_amount(std::string_view text, char decimal_mark) {
  std::string work = squeeze(text);
  if (work.size() > 40) return std::nullopt;
  Amount out;
  // Unicode minus and spaces inside the number become ASCII ones.
  for (std::string_view minus : {"\xe2\x88\x92", "\xe2\x80\x93"})
    for (std::size_t at; (at = work.find(minus)) != std::string::npos;) work.replace(at, minus.size(), "-");

  const auto is_number_sign = [](char c) { return digit(c) || c == '-' || c == '+' || c == '(' || c == '.'; };
  std::size_t from = 0;
  while (from < work.size() && !is_number_sign(work[from])) ++from;
  if (from == work.size()) return std::nullopt;
  std::string before = work.substr(0, from);
  if (!before.empty() && before.ends_with(' ')) before.pop_back();
  std::size_t to = work.size();
  while (to > from && !(digit(work[to - 1]) || work[to - 1] == '-' || work[to - 1] == ')')) --to;
  std::string after = squeeze(std::string_view(work).substr(to));
  std::string number = work.substr(from, to - from);
  // "Rs.500": the point belongs to the currency.
  if (!before.empty() && number.starts_with('.') && parse_currency(before + ".")) number.erase(0, 1);
  bool negative = false;
  if (before == "-") before.clear(), negative = true;
  for (const std::string& side : {before, after}) {
    if (side.empty()) continue;
    auto currency = parse_currency(side);
    if (!currency) {
      // "-,--" style dashes mean no cents; anything else is not an amount.
      return std::nullopt;
    }
    out.currency = *currency;
  }
  if (number.size() > 2 && number.front() == '(' && number.back() == ')') {
    negative = true;
    number = number.substr(1, number.size() - 2);
  }
  if (number.starts_with('-') || number.ends_with('-')) negative = true;
  std::erase_if(number, [](char c) { return c == '-' || c == '+'; });
  number = squeeze(number);
  // "-€ 5.00" and "5.00 € -" leave nothing else here.
  if (number.empty() || !digit(number.front()) || !digit(number.back())) return std::nullopt;

  std::size_t separators_dot = 0, separators_comma = 0;
  for (std::size_t i = 0; i < number.size(); ++i) {
    const char c = number[i];
    if (digit(c)) continue;
    if (c != '.' && c != ',' && c != ' ' && c != '\'') return std::nullopt;
    if (!digit(number[i - 1]) || !digit(number[i + 1])) return std::nullopt;
    separators_dot += c == '.';
    separators_comma += c == ',';
  }
  const std::size_t last_dot = number.rfind('.'), last_comma = number.rfind(',');
  char mark = 0;
  if (separators_dot && separators_comma) {
    mark = last_dot > last_comma ? '.' : ',';
    if ((mark == '.' ? separators_dot : separators_comma) > 1) return std::nullopt;
  } else if (separators_dot + separators_comma == 1) {
    const char only = separators_dot ? '.' : ',';
    const std::size_t at = separators_dot ? last_dot : last_comma;
    const std::size_t tail = number.size() - at - 1;
    const bool could_group = tail == 3 && at <= 3 && number[0] != '0';
    if (!could_group || (decimal_mark != 0 && decimal_mark == only)) mark = only;
  }
  std::string whole, fraction;
  bool in_fraction = false;
  std::size_t group = 0;
  bool grouped = false;
  for (char c : number) {
    if (digit(c)) {
      (in_fraction ? fraction : whole) += c;
      ++group;
    } else if (c == mark && !in_fraction) {
      if (grouped && group != 3) return std::nullopt;
      in_fraction = true;
      group = 0;
    } else {
      if (in_fraction || (grouped && group != 3) || group > 3 || group == 0) return std::nullopt;
      grouped = true;
      group = 0;
    }
  }
  if (grouped && !in_fraction && group != 3) return std::nullopt;
  if (whole.size() > 15 || fraction.size() > 8) return std::nullopt;
  out.decimals = static_cast<int>(fraction.size());
  while (fraction.size() > 2 && fraction.back() == '0') fraction.pop_back();
  whole.erase(0, std::min(whole.find_first_not_of('0'), whole.size() - 1));
  const bool zero = whole == "0" && fraction.find_first_not_of('0') == std::string::npos;
  out.value = (negative && !zero ? "-" : "") + whole + (fraction.empty() ? "" : "." + fraction);
  return out;
}

std::optional<std::int64_t> cents(std::string_view normal) {
  const bool negative = normal.starts_with('-');
  if (negative) normal.remove_prefix(1);
  const std::size_t point = normal.find('.');
  const std::string_view whole = normal.substr(0, point);
  std::string fraction(point == std::string_view::npos ? "" : normal.substr(point + 1));
  if (whole.empty() || whole.size() > 15) return std::nullopt;
  fraction.resize(3, '0');
  std::int64_t value = 0;
  for (char c : std::string(whole) + fraction) {
    if (!digit(c)) return std::nullopt;
    value = value * 10 + (c - '0');
  }
  value = (value + 5) / 10;
  return negative ? -value : value;
}

std::string from_cents(std::int64_t value) {
  const bool negative = value < 0;
  std::string digits = std::to_string(negative ? -value : value);
  if (digits.size() < 3) digits.insert(0, 3 - digits.size(), '0');
  digits.insert(digits.size() - 2, ".");
  return (negative ? "-" : "") + digits;
}

}  // namespace celeriac
