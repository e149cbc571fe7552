// What is there, and whether it looks like what it is.
#include "tasks/validation/checks.hpp"

#include <algorithm>

namespace celeriac::checks {
namespace {

bool letter_or_digit(unsigned char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c >= 0x80;
}

// "at most 365 days"
std::string bound(std::string_view how, const Rule& rule) {
  return std::string(how) + " " + rule.limit + " " + std::string(rule.unit);
}

}  // namespace

void vendor_name(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  report.judge(!invoice.vendor_name.empty(), rule, "vendor_name");
}

void invoice_number(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  report.judge(!invoice.invoice_number.empty(), rule, "invoice_number");
}

void invoice_date(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  report.judge(!invoice.invoice_date.empty(), rule, "invoice_date");
}

void total_amount(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  const auto total = parse_decimal(invoice.total_amount);
  report.judge(total && *total != 0, rule, "total_amount");
}

void subtotal(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  report.judge(!invoice.subtotal.empty(), rule, "subtotal");
}

void number_form(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  if (invoice.invoice_number.empty()) return;
  report.judge(std::ranges::any_of(invoice.invoice_number, letter_or_digit), rule, "invoice_number", "",
               invoice.invoice_number);
}

void currency_code(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  if (invoice.currency.empty()) return;
  const bool code = invoice.currency.size() == 3 &&
                    std::ranges::all_of(invoice.currency, [](char c) { return c >= 'A' && c <= 'Z'; });
  report.judge(code, rule, "currency", "", invoice.currency);
}

void has_lines(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  report.judge(!invoice.lines.empty(), rule, "line_items", "", std::to_string(invoice.lines.size()));
}

void line_count(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  if (invoice.lines.empty()) return;
  report.judge(Decimal(invoice.lines.size()) <= rule.limit_value(), rule, "line_items",
               bound("at most", rule), std::to_string(invoice.lines.size()));
}

void line_fields(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  if (invoice.lines.empty()) return;
  bool complete = true;
  for (const auto& line : invoice.lines) {
    if (line.description.empty()) report.fail(rule, "description", "", "", line.number);
    if (!parse_decimal(line.line_total)) report.fail(rule, "line_total", "", "", line.number);
    complete = complete && !line.description.empty() && parse_decimal(line.line_total);
  }
  if (complete) report.hold(rule, "line_items");
}

void confidence(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  const auto read = parse_decimal(invoice.confidence);
  if (read)
    report.judge(*read >= rule.limit_value(), rule, "confidence_score", "at least " + rule.limit,
                 invoice.confidence);
}

void dated_ahead(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  if (!invoice.age_days) return;
  report.judge(Decimal(-*invoice.age_days) <= rule.limit_value(), rule, "invoice_date",
               bound("ahead by at most", rule), invoice.invoice_date);
}

void age(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  if (!invoice.age_days) return;
  report.judge(Decimal(*invoice.age_days) <= rule.limit_value(), rule, "invoice_date", bound("at most", rule),
               std::to_string(*invoice.age_days) + " days");
}

void due_after_date(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  if (!invoice.due_days) return;
  report.judge(Decimal(-*invoice.due_days) <= rule.limit_value(), rule, "due_date",
               invoice.invoice_date + " or later", invoice.due_date);
}

}  // namespace celeriac::checks
