// Arithmetic, exact to the last digit. A credit note may state its amounts with either sign.
#include "tasks/validation/checks.hpp"

#include <map>

namespace celeriac::checks {
namespace {

// What an amount is compared by: a credit note's signs do not count.
Decimal magnitude(const InvoiceFacts& invoice, const Decimal& amount) {
  return invoice.credit_note ? abs(amount) : amount;
}

void compare(const InvoiceFacts& invoice, const Rule& rule, Report& report, std::string field,
             const Decimal& expected, const Decimal& actual, const Decimal& tolerance) {
  const bool same = abs(magnitude(invoice, expected) - magnitude(invoice, actual)) <= tolerance;
  report.judge(same, rule, std::move(field), to_text(expected), to_text(actual));
}

std::optional<Decimal> product(const LineFacts& line) {
  const auto quantity = parse_decimal(line.quantity), price = parse_decimal(line.unit_price);
  if (!quantity || !price) return std::nullopt;
  return *quantity * *price * (1 - parse_decimal(line.discount).value_or(Decimal(0)));
}

// The bounds of what lines may amount to, line by line.
template <class Fits>
void every_line(const InvoiceFacts& invoice, const Rule& rule, Report& report, std::string_view bound,
                Fits fits) {
  bool all = true, any = false;
  for (const auto& line : invoice.lines) {
    const auto total = parse_decimal(line.line_total);
    if (!total) continue;
    any = true;
    if (fits(magnitude(invoice, *total))) continue;
    all = false;
    report.fail(rule, "line_total", std::string(bound) + " " + rule.limit, line.line_total, line.number);
  }
  if (any && all) report.hold(rule, "line_items");
}

}  // namespace

std::optional<Decimal> sum_of_lines(const InvoiceFacts& invoice) {
  if (invoice.lines.empty()) return std::nullopt;
  Decimal sum(0);
  for (const auto& line : invoice.lines) {
    const auto total = parse_decimal(line.line_total);
    if (!total) return std::nullopt;
    sum += *total;
  }
  return sum;
}

void line_minimum(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  const Decimal limit = rule.limit_value();
  every_line(invoice, rule, report, "at least", [&](const Decimal& total) { return total >= limit; });
}

void line_maximum(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  const Decimal limit = rule.limit_value();
  every_line(invoice, rule, report, "at most", [&](const Decimal& total) { return total <= limit; });
}

void total_maximum(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  const auto total = parse_decimal(invoice.total_amount);
  if (!total) return;
  report.judge(abs(*total) <= rule.limit_value(), rule, "total_amount", "at most " + rule.limit,
               invoice.total_amount);
}

void line_product(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  const Decimal tolerance = rule.limit_value();
  bool all = true, any = false;
  for (const auto& line : invoice.lines) {
    const auto total = parse_decimal(line.line_total), expected = product(line);
    if (!total || !expected) continue;
    any = true;
    if (abs(magnitude(invoice, *expected) - magnitude(invoice, *total)) <= tolerance) continue;
    all = false;
    report.fail(rule, "line_total", to_text(*expected), line.line_total, line.number);
  }
  if (any && all) report.hold(rule, "line_items");
}

// Each line was rounded by itself, so their sum may be off by the tolerance for each.
void subtotal_sum(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  const auto lines = sum_of_lines(invoice), subtotal = parse_decimal(invoice.subtotal);
  if (!lines || !subtotal) return;
  compare(invoice, rule, report, "subtotal", *lines, *subtotal,
          rule.limit_value() * static_cast<unsigned>(invoice.lines.size()));
}

void total_sum(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  const auto total = parse_decimal(invoice.total_amount), subtotal = parse_decimal(invoice.subtotal),
             net = subtotal ? subtotal : sum_of_lines(invoice);
  if (!total || !net) return;
  const Decimal none(0), expected = *net + parse_decimal(invoice.tax_amount).value_or(none) +
                                    parse_decimal(invoice.freight).value_or(none);
  compare(invoice, rule, report, "total_amount", expected, *total, rule.limit_value());
}

void tax_rate_range(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  bool all = true, any = false;
  const auto look = [&](const std::string& text, const Decimal& factor, const std::string& field, int line) {
    const auto rate = parse_decimal(text);
    if (!rate) return;
    any = true;
    if (*rate >= 0 && *rate * factor <= rule.limit_value()) return;
    all = false;
    report.fail(rule, field, "0 to " + rule.limit + " %", text, line);
  };
  look(invoice.tax_rate, Decimal(100), "tax_rate", 0);  // the header's is a fraction
  for (const auto& line : invoice.lines) look(line.tax_rate, Decimal(1), "tax_rate", line.number);
  if (any && all) report.hold(rule, "tax_rate");
}

// By the lines' rates when each line states one, else by the header's. Tax is rounded once for each rate,
// or once for each line: both are lawful, so the tolerance counts for each line.
void tax_by_rate(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  const auto stated = parse_decimal(invoice.tax_amount);
  if (!stated) return;
  std::map<Decimal, Decimal> net_by_rate;
  for (const auto& line : invoice.lines) {
    const auto rate = parse_decimal(line.tax_rate), total = parse_decimal(line.line_total);
    if (!rate || !total) {
      net_by_rate.clear();
      break;
    }
    net_by_rate[*rate] += *total;
  }
  Decimal expected(0);
  if (!net_by_rate.empty()) {
    for (const auto& [rate, net] : net_by_rate) expected += rate * net / 100;
  } else {
    const auto rate = parse_decimal(invoice.tax_rate), subtotal = parse_decimal(invoice.subtotal),
               net = subtotal ? subtotal : sum_of_lines(invoice);
    if (!rate || !net) return;
    expected = *rate * *net;
  }
  const auto lines = static_cast<unsigned>(invoice.lines.size());
  compare(invoice, rule, report, "tax_amount", expected, *stated,
          rule.limit_value() * (lines > 0 ? lines : 1u));
}

}  // namespace celeriac::checks
