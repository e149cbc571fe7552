// The three-way match (order, receipt, invoice) and the search for the same invoice twice.
#include "tasks/validation/checks.hpp"

#include <algorithm>
#include <cctype>

namespace celeriac::checks {
namespace {

std::string key(const std::string& text) {
  std::string out;
  for (const unsigned char c : text) {
    if (std::isalnum(c) || c >= 0x80) out += static_cast<char>(std::tolower(c));
  }
  return out;
}

// By item number where both state one, else by description.
bool same_item(const LineFacts& line, const OrderLine& other) {
  if (!line.item_number.empty() && !other.item_number.empty())
    return key(line.item_number) == key(other.item_number);
  return !line.description.empty() && key(line.description) == key(other.description);
}

// Further apart than `percent` of `base`.
bool beyond(const Decimal& value, const Decimal& base, const Decimal& percent) {
  return abs(value - base) * 100 > percent * abs(base);
}

// Invoiced quantities against those of the order or the receipts. Items that the other side does not name
// are compared by the amount rule.
void quantities(const InvoiceFacts& invoice, const std::vector<OrderLine>& others, const Rule& rule,
                Report& report) {
  bool all = true, any = false;
  for (const auto& other : others) {
    const auto agreed = parse_decimal(other.quantity);
    if (!agreed) continue;
    Decimal invoiced(0);
    int line_number = 0;
    for (const auto& line : invoice.lines) {
      const auto quantity = parse_decimal(line.quantity);
      if (!quantity || !same_item(line, other)) continue;
      invoiced += *quantity;
      line_number = line_number ? line_number : line.number;
    }
    if (line_number == 0) continue;
    any = true;
    if (!beyond(invoiced, *agreed, rule.limit_value())) continue;
    all = false;
    report.fail(rule, "quantity", to_text(*agreed), to_text(invoiced), line_number);
  }
  if (any && all) report.hold(rule, "quantity");
}

}  // namespace

void order_found(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  if (!invoice.po_number.empty())
    report.judge(invoice.order.has_value(), rule, "po_number", "", invoice.po_number);
}

void order_fits(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  if (!invoice.order) return;
  const auto& order = *invoice.order;
  if (invoice.vendor && order.vendor_id != invoice.vendor->id) {
    report.fail(rule, "vendor_name", "the order's vendor", invoice.vendor->name);
  } else if (!invoice.currency.empty() && order.currency != invoice.currency) {
    report.fail(rule, "currency", order.currency, invoice.currency);
  } else if (order.status == "DRAFT" || order.status == "CLOSED" || order.status == "CANCELLED") {
    report.fail(rule, "po_number", "SENT, PARTIAL or RECEIVED", order.status);
  } else {
    report.hold(rule, "po_number");
  }
}

void order_amount(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  if (!invoice.order) return;
  const auto ordered = parse_decimal(invoice.order->total), total = parse_decimal(invoice.total_amount);
  if (!ordered || !total) return;
  report.judge(!beyond(*total, *ordered, rule.limit_value()), rule, "total_amount", to_text(*ordered),
               to_text(*total));
}

void order_quantity(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  if (invoice.order) quantities(invoice, invoice.order->lines, rule, report);
}

void goods_received(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  if (!invoice.order) return;
  report.judge(invoice.order->receipts > 0, rule, "po_number", "",
               std::to_string(invoice.order->receipts) + " receipts");
}

void received_quantity(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  if (invoice.order && invoice.order->receipts > 0)
    quantities(invoice, invoice.order->received, rule, report);
}

// Certain when total and date are the same too; with either different it may be a number used again.
void duplicate_number(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  if (invoice.vendor_name.empty() || invoice.invoice_number.empty()) return;
  for (const auto& twin : invoice.twins) {
    if (!twin.same_number) continue;
    const Decimal confidence(twin.same_total && twin.same_date ? "1" : "0.8");
    if (confidence >= rule.limit_value()) return report.fail(rule, "invoice_number", "", twin.invoice_id);
  }
  report.hold(rule, "invoice_number");
}

// Vendor, amount within one per cent (the facts hold no others), date within three days.
void duplicate_suspect(const InvoiceFacts& invoice, const Rule& rule, Report& report) {
  if (invoice.vendor_name.empty() || invoice.total_amount.empty()) return;
  for (const auto& twin : invoice.twins) {
    if (twin.same_number && twin.same_total && twin.same_date) continue;  // certain, the other rule's
    const Decimal nearness =
        1 - Decimal(twin.days_apart) / 10 - (twin.same_total ? Decimal(0) : Decimal("0.1"));
    const Decimal confidence = twin.same_number ? Decimal("0.8") : nearness;
    if (confidence >= rule.limit_value()) return report.fail(rule, "invoice_number", "", twin.invoice_id);
  }
  report.hold(rule, "invoice_number");
}

}  // namespace celeriac::checks
