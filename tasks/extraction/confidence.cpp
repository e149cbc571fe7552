#include "tasks/extraction/confidence.hpp"

#include "tasks/extraction/values.hpp"

#include <cmath>

namespace celeriac {

void check_totals(ExtractedInvoice& invoice) {
  const auto net = cents(invoice.subtotal.value), tax = cents(invoice.tax_amount.value);
  const auto total = cents(invoice.total_amount.value);
  constexpr std::int64_t rounding = 2;
  if (net && tax && total && std::abs(*net + *tax - *total) > rounding) {
    for (auto member :
         {&ExtractedInvoice::subtotal, &ExtractedInvoice::tax_amount, &ExtractedInvoice::total_amount})
      (invoice.*member).confidence *= 0.6;
    bool reported = false;
    for (const Warning& warning : invoice.warnings) reported |= warning.code == "totals_disagree";
    if (!reported)
      invoice.warn("totals_disagree", invoice.subtotal.value + " + " + invoice.tax_amount.value + " is not " +
                                          invoice.total_amount.value);
  }
  if (invoice.line_items.empty()) return;
  std::int64_t lines = 0;
  for (const LineItem& item : invoice.line_items) {
    const auto value = cents(item.line_total.value);
    if (!value) return;
    lines += *value;
  }
  const bool fits =
      (net && std::abs(lines - *net) <= rounding) || (total && std::abs(lines - *total) <= rounding);
  // Discounts and charges of the document explain a difference; the page's lines may also be misread.
  if (!fits && invoice.method != ExtractMethod::xml)
    for (LineItem& item : invoice.line_items)
      for (const auto& [name, member] : item_fields()) (item.*member).confidence *= 0.85;
}

double overall_confidence(const ExtractedInvoice& invoice) {
  if (invoice.type == DocumentType::other) return 0;
  const double header = (invoice.invoice_number.confidence + invoice.invoice_date.confidence +
                         invoice.total_amount.confidence + invoice.seller_name.confidence) /
                        4;
  if (invoice.line_items.empty()) return 0.8 * header;
  double lines = 0;
  for (const LineItem& item : invoice.line_items)
    lines += (item.description.confidence + item.line_total.confidence) / 2;
  return 0.8 * header + 0.2 * lines / static_cast<double>(invoice.line_items.size());
}

}  // namespace celeriac
