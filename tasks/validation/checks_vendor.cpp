// Whether the vendor's terms are kept.
#include "tasks/validation/checks.hpp"

#include <algorithm>
#include <cctype>

namespace celeriac::checks {
namespace {

// Without spaces, punctuation and case.
std::string letters_and_digits(const std::string& text) {
  std::string out;
  for (const unsigned char c : text) {
    if (std::isalnum(c)) out += static_cast<char>(std::toupper(c));
  }
  return out;
}

}  // namespace

void vendor_known(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  if (!invoice.vendors_known || invoice.vendor_name.empty()) return;
  report.judge(invoice.vendor.has_value(), rule, "vendor_name", "", invoice.vendor_name);
}

void vendor_active(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  if (invoice.vendor) report.judge(invoice.vendor->active, rule, "vendor_name", "", invoice.vendor->name);
}

void vendor_currency(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  if (!invoice.vendor || invoice.currency.empty()) return;
  report.judge(invoice.currency == invoice.vendor->currency, rule, "currency", invoice.vendor->currency,
               invoice.currency);
}

void vendor_tax_id(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  if (!invoice.vendor || invoice.vendor->tax_id.empty() || invoice.vendor_tax_id.empty()) return;
  report.judge(letters_and_digits(invoice.vendor_tax_id) == letters_and_digits(invoice.vendor->tax_id), rule,
               "vendor_tax_id", invoice.vendor->tax_id, invoice.vendor_tax_id);
}

void vendor_spend(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  if (!invoice.vendor || invoice.credit_note) return;
  const auto limit = parse_decimal(invoice.vendor->credit_limit), total = parse_decimal(invoice.total_amount);
  if (!limit || !total) return;
  const Decimal spend = Decimal(invoice.vendor->spend) + *total;
  report.judge(spend <= *limit, rule, "total_amount", "at most " + to_text(*limit), to_text(spend));
}

void vendor_maximum(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  if (!invoice.vendor) return;
  const auto limit = parse_decimal(invoice.vendor->max_invoice_amount),
             total = parse_decimal(invoice.total_amount);
  if (!limit || !total) return;
  report.judge(abs(*total) <= *limit, rule, "total_amount", "at most " + to_text(*limit),
               invoice.total_amount);
}

void payment_terms(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  if (!invoice.vendor || !invoice.due_days) return;
  const int agreed = invoice.vendor->payment_terms_days;
  report.judge(Decimal(agreed - *invoice.due_days) <= rule.limit_value(), rule, "due_date",
               "at least " + std::to_string(agreed) + " days", std::to_string(*invoice.due_days) + " days");
}

}  // namespace celeriac::checks
