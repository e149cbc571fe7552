// What each rule looks at. Every function reports for exactly the rule it is given: passed, failed (per
// line where lines are judged), or nothing when the facts it needs are not there.
#pragma once

#include "tasks/validation/rules.hpp"

namespace celeriac::checks {

// Fields and dates.
void vendor_name(const InvoiceFacts&, const Rule&, Report&);
void invoice_number(const InvoiceFacts&, const Rule&, Report&);
void invoice_date(const InvoiceFacts&, const Rule&, Report&);
void total_amount(const InvoiceFacts&, const Rule&, Report&);
void subtotal(const InvoiceFacts&, const Rule&, Report&);
void number_form(const InvoiceFacts&, const Rule&, Report&);
void currency_code(const InvoiceFacts&, const Rule&, Report&);
void has_lines(const InvoiceFacts&, const Rule&, Report&);
void line_count(const InvoiceFacts&, const Rule&, Report&);
void line_fields(const InvoiceFacts&, const Rule&, Report&);
void confidence(const InvoiceFacts&, const Rule&, Report&);
void dated_ahead(const InvoiceFacts&, const Rule&, Report&);
void age(const InvoiceFacts&, const Rule&, Report&);
void due_after_date(const InvoiceFacts&, const Rule&, Report&);

// Arithmetic.
void line_minimum(const InvoiceFacts&, const Rule&, Report&);
void line_maximum(const InvoiceFacts&, const Rule&, Report&);
void total_maximum(const InvoiceFacts&, const Rule&, Report&);
void line_product(const InvoiceFacts&, const Rule&, Report&);
void subtotal_sum(const InvoiceFacts&, const Rule&, Report&);
void total_sum(const InvoiceFacts&, const Rule&, Report&);
void tax_rate_range(const InvoiceFacts&, const Rule&, Report&);
void tax_by_rate(const InvoiceFacts&, const Rule&, Report&);

// Vendor, order, receipts, other invoices.
void vendor_known(const InvoiceFacts&, const Rule&, Report&);
void vendor_active(const InvoiceFacts&, const Rule&, Report&);
void vendor_currency(const InvoiceFacts&, const Rule&, Report&);
void vendor_tax_id(const InvoiceFacts&, const Rule&, Report&);
void vendor_spend(const InvoiceFacts&, const Rule&, Report&);
void vendor_maximum(const InvoiceFacts&, const Rule&, Report&);
void payment_terms(const InvoiceFacts&, const Rule&, Report&);
void order_found(const InvoiceFacts&, const Rule&, Report&);
void order_fits(const InvoiceFacts&, const Rule&, Report&);
void order_amount(const InvoiceFacts&, const Rule&, Report&);
void order_quantity(const InvoiceFacts&, const Rule&, Report&);
void goods_received(const InvoiceFacts&, const Rule&, Report&);
void received_quantity(const InvoiceFacts&, const Rule&, Report&);
void duplicate_number(const InvoiceFacts&, const Rule&, Report&);
void duplicate_suspect(const InvoiceFacts&, const Rule&, Report&);

// The lines' sum, unless one has no amount.
std::optional<Decimal> sum_of_lines(const InvoiceFacts&);

}  // namespace celeriac::checks
