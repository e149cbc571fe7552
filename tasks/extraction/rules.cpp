#include "tasks/extraction/rules.hpp"

#include "tasks/extraction/text.hpp"

#include <algorithm>

namespace celeriac::rules {
namespace {

bool overlaps(const Box& a, const Box& b) { return a.x0 < b.x1 + 2 && a.x1 > b.x0 - 2; }

void learn_conventions(Reading& reading) {
  int day_first = 0, month_first = 0, commas = 0, points = 0;
  for (const Line& line : reading.layout.lines) {
    for (const Token& token : line.tokens) {
      if (auto order = implied_order(token.text))
        ++(*order == DateOrder::day_first ? day_first : month_first);
      const std::string_view t = token.text;
      for (std::size_t i = 1; i + 2 < t.size() + 0; ++i) {
        const bool two =
            (t[i] == ',' || t[i] == '.') && isdigit(static_cast<unsigned char>(t[i - 1])) &&
            isdigit(static_cast<unsigned char>(t[i + 1])) && isdigit(static_cast<unsigned char>(t[i + 2])) &&
            (i + 3 == t.size() ||
             !(isalnum(static_cast<unsigned char>(t[i + 3])) || t[i + 3] == '.' || t[i + 3] == ','));
        if (two) ++(t[i] == ',' ? commas : points);
      }
    }
  }
  if (month_first > day_first) reading.date_order = DateOrder::month_first;
  if (commas != points) reading.decimal_mark = commas > points ? ',' : '.';
}

// "Lieferant GmbH" is a company; only a heading of its own or one with a colon is a party's.
bool part_of_a_name(const Line& line, std::size_t at, const LabelMatch& match) {
  if (match.label != Label::seller && match.label != Label::buyer && match.label != Label::other_party)
    return false;
  const std::size_t end = at + match.tokens;
  return line.cell_begin(at) != at || (line.cell_end(at) != end && !line.tokens[end - 1].text.ends_with(':'));
}

}  // namespace

Reading start_reading(const Layout& layout, FieldSource source) {
  Reading reading{layout, {}};
  reading.source = source;
  for (std::size_t l = 0; l < layout.lines.size(); ++l) {
    const Line& line = layout.lines[l];
    for (std::size_t i = 0; i < line.tokens.size();) {
      if (auto match = match_label(line, i); match && !part_of_a_name(line, i, *match)) {
        reading.labels.push_back({match->label, match->weight, l, i, i + match->tokens});
        i += match->tokens;
      } else {
        ++i;
      }
    }
  }
  learn_conventions(reading);
  return reading;
}

Span right_of(const Reading& reading, const FoundLabel& label) {
  Span span{label.line, label.last, reading.layout.lines[label.line].tokens.size()};
  for (const FoundLabel& other : reading.labels)
    if (other.line == label.line && other.first >= label.last) span.last = std::min(span.last, other.first);
  return span;
}

std::vector<Span> below(const Reading& reading, const FoundLabel& label, std::size_t most) {
  const Line& from = reading.layout.lines[label.line];
  const Box box = from.span_box(label.first, label.last);
  float bottom = box.y1;
  std::vector<Span> out;
  for (std::size_t l = label.line + 1; l < reading.layout.lines.size() && out.size() < most; ++l) {
    const Line& line = reading.layout.lines[l];
    if (line.page != from.page) break;
    const float height = std::max(6.0f, box.y1 - box.y0);
    if (line.box.y0 - bottom > 2.5f * height) break;
    for (std::size_t i = 0; i < line.tokens.size(); ++i) {
      if (!overlaps(line.tokens[i].box, box)) continue;
      out.push_back({l, line.cell_begin(i), line.cell_end(i)});
      bottom = line.box.y1;
      break;
    }
  }
  return out;
}

std::vector<FoundAmount> amounts_in(const Reading& reading, const Span& span) {
  const Line& line = reading.line(span);
  std::vector<FoundAmount> out;
  for (std::size_t i = span.first; i < span.last;) {
    std::size_t used = 0;
    for (std::size_t n = std::min<std::size_t>(3, span.last - i); n > 0 && used == 0; --n) {
      bool joinable = true;
      for (std::size_t k = i + 1; k < i + n; ++k) {
        const bool plain = parse_currency(line.tokens[k].text) || parse_currency(line.tokens[k - 1].text) ||
                           line.tokens[k - 1].text == "-";
        if (line.tokens[k].starts_cell && !plain) joinable = false;
      }
      if (!joinable) continue;
      auto amount = parse_amount(trim_value(line.text(i, i + n)), reading.decimal_mark);
      if (!amount) continue;
      if (i + n < line.tokens.size() && line.tokens[i + n].text.starts_with('%')) continue;
      out.push_back({*amount, {span.line, i, i + n}});
      used = n;
    }
    i += std::max<std::size_t>(1, used);
  }
  return out;
}

std::optional<FoundDate> date_in(const Reading& reading, const Span& span, std::size_t reach) {
  const Line& line = reading.line(span);
  for (std::size_t i = span.first; i < std::min(span.last, span.first + reach); ++i)
    for (std::size_t n = std::min<std::size_t>(5, span.last - i); n > 0; --n)
      if (auto iso = parse_date(line.text(i, i + n), reading.date_order))
        return FoundDate{*iso, {span.line, i, i + n}};
  return std::nullopt;
}

Field make_field(const Reading& reading, std::string value, const Span& span, double sureness) {
  Field field;
  field.value = std::move(value);
  if (field.value.empty()) return field;
  const Line& line = reading.line(span);
  double weakest = 1;
  for (std::size_t i = span.first; i < span.last; ++i)
    weakest = std::min<double>(weakest, line.tokens[i].confidence);
  // A word OCR is unsure of may still be right, so its doubt counts in part.
  field.confidence = std::clamp(sureness * (0.4 + 0.6 * weakest), 0.0, 1.0);
  field.source = reading.source;
  field.page = line.page;
  if (span.last > span.first) field.box = line.span_box(span.first, span.last);
  return field;
}

void offer(Field& field, Field candidate) {
  if (candidate.present() && candidate.confidence > field.confidence + 1e-9) field = std::move(candidate);
}

}  // namespace celeriac::rules
