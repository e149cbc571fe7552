#include "tasks/validation/collect_facts.hpp"

#include "protocol/json.hpp"
#include "tasks/store/digest.hpp"
#include "tasks/store/slot_database.hpp"

namespace celeriac {
namespace {

std::optional<int> days(const Rows& rows, int column) {
  if (rows.is_null(0, column)) return std::nullopt;
  return std::stoi(rows.str(0, column));
}

// What the other statements look for.
struct Keys {
  std::string vendor_id, vendor_key, number_key;
};

Keys read_head(Database& database, StoredInvoice& invoice) {
  const Rows row = database.run(
      "SELECT status, vendor_name, invoice_number, invoice_date, currency, subtotal, tax_amount, "
      "total_amount,"
      " due_date, vendor_tax_id, po_number, tax_rate, freight, confidence_score, document_type = "
      "'credit_note',"
      " (created_at AT TIME ZONE 'UTC')::date - invoice_date, due_date - invoice_date, vendor_id, "
      "vendor_key, number_key,"
      " EXISTS (SELECT FROM vendors) FROM invoices WHERE id = $1 FOR UPDATE",
      {invoice.id});
  if (row.empty()) throw invoice_error("InvoiceNotFound", "there is no invoice " + invoice.id);
  invoice.status = parse_invoice_status(row.text(0, 0)).value();
  auto& facts = invoice.facts;
  std::string* const fields[] = {
      &facts.vendor_name, &facts.invoice_number, &facts.invoice_date, &facts.currency,      &facts.subtotal,
      &facts.tax_amount,  &facts.total_amount,   &facts.due_date,     &facts.vendor_tax_id, &facts.po_number,
      &facts.tax_rate,    &facts.freight,        &facts.confidence};
  int column = 1;
  for (auto* field : fields) *field = row.str(0, column++);
  facts.credit_note = row.truth(0, 14);
  facts.age_days = days(row, 15);
  facts.due_days = days(row, 16);
  facts.vendors_known = row.truth(0, 20);
  return {row.str(0, 17), row.str(0, 18), row.str(0, 19)};
}

void read_lines(Database& database, StoredInvoice& invoice) {
  const Rows rows = database.run(
      "SELECT line_number, description, quantity, unit_price, line_total, item_number, tax_rate,"
      " unit_price_discount FROM invoice_line_items WHERE invoice_id = $1 ORDER BY line_number",
      {invoice.id});
  for (int row = 0; row < rows.size(); ++row) {
    auto& line = invoice.facts.lines.emplace_back();
    line.number = std::stoi(rows.str(row, 0));
    std::string* const fields[] = {&line.description, &line.quantity, &line.unit_price, &line.line_total,
                                   &line.item_number, &line.tax_rate, &line.discount};
    int column = 1;
    for (auto* field : fields) *field = rows.str(row, column++);
  }
}

// By the id somebody set, else by tax id, else by name. Of several the oldest active one counts.
void read_vendor(Database& database, StoredInvoice& invoice, const Keys& keys) {
  constexpr const char* columns =
      "SELECT id, name, tax_id, currency, active AND status = 'ACTIVE', payment_terms_days, credit_limit,"
      " max_invoice_amount FROM vendors WHERE ";
  const std::string order = " ORDER BY active AND status = 'ACTIVE' DESC, created_at, id LIMIT 1";
  if (!invoice.facts.vendors_known) return;
  Rows row = database.run(columns + std::string("id = $1"),
                          {keys.vendor_id.empty() ? SqlValue() : SqlValue(keys.vendor_id)});
  if (row.empty() && !invoice.facts.vendor_tax_id.empty())
    row = database.run(columns + std::string("tax_key = number_key($1)") + order,
                       {invoice.facts.vendor_tax_id});
  if (row.empty()) row = database.run(columns + std::string("name_key = $1") + order, {keys.vendor_key});
  if (row.empty()) return;
  auto& vendor = invoice.facts.vendor.emplace();
  vendor.id = row.str(0, 0);
  vendor.name = row.str(0, 1);
  vendor.tax_id = row.str(0, 2);
  vendor.currency = row.str(0, 3);
  vendor.active = row.truth(0, 4);
  vendor.payment_terms_days = std::stoi(row.str(0, 5));
  vendor.credit_limit = row.str(0, 6);
  vendor.max_invoice_amount = row.str(0, 7);
  if (vendor.credit_limit.empty()) return;
  vendor.spend =
      database
          .run(
              "SELECT coalesce(sum(total_amount), 0) FROM invoices WHERE vendor_id = $1"
              " AND currency = $2 AND payment_status <> 'paid' AND document_type = 'invoice' AND id <> $3"
              " AND duplicate_of IS NULL",
              {vendor.id, invoice.facts.currency, invoice.id})
          .str(0, 0);
}

void read_order(Database& database, StoredInvoice& invoice) {
  if (invoice.facts.po_number.empty()) return;
  const Rows row = database.run(
      "SELECT id, po_no, vendor_id, currency, total_amount, status FROM purchase_orders"
      " WHERE po_key = number_key($1) ORDER BY vendor_id = $2 DESC, created_at, id LIMIT 1",
      {invoice.facts.po_number, invoice.facts.vendor ? SqlValue(invoice.facts.vendor->id) : SqlValue()});
  if (row.empty()) return;
  auto& order = invoice.facts.order.emplace();
  order.id = row.str(0, 0);
  order.number = row.str(0, 1);
  order.vendor_id = row.str(0, 2);
  order.currency = row.str(0, 3);
  order.total = row.str(0, 4);
  order.status = row.str(0, 5);
  order.receipts = std::stoi(
      database.run("SELECT count(*) FROM goods_receipt_notes WHERE po_id = $1", {order.id}).str(0, 0));
  // PostgreSQL reads and adds the amounts: texts and numbers in the documents alike, exactly.
  const auto read = [&](const std::string& from) {
    std::vector<OrderLine> out;
    const Rows lines = database.run(
        "SELECT coalesce(l->>'item_number', l->>'item_code', ''), coalesce(l->>'description', ''),"
        " sum(CASE WHEN l->>'quantity' ~ '^-?[0-9]{1,14}([.][0-9]{1,6})?$' THEN (l->>'quantity')::numeric "
        "END) FROM " +
            from + " GROUP BY 1, 2 ORDER BY 1, 2",
        {order.id});
    for (int i = 0; i < lines.size(); ++i)
      out.push_back({lines.str(i, 0), lines.str(i, 1), lines.str(i, 2), ""});
    return out;
  };
  order.lines = read("purchase_orders, jsonb_array_elements(lines_json) AS l WHERE id = $1");
  if (order.receipts > 0)
    order.received = read("goods_receipt_notes, jsonb_array_elements(lines_json) AS l WHERE po_id = $1");
}

// Earlier invoices of this vendor with its number, or with nearly its amount and date. Only earlier ones:
// of two that are the same, the first is the invoice.
void read_twins(Database& database, StoredInvoice& invoice, const Keys& keys) {
  if (keys.vendor_key.empty()) return;
  const Rows rows = database.run(
      "SELECT o.id, o.invoice_number, o.total_amount, o.invoice_date, coalesce(o.number_key = i.number_key, "
      "false),"
      " o.total_amount IS NOT DISTINCT FROM i.total_amount, o.invoice_date IS NOT DISTINCT FROM "
      "i.invoice_date,"
      " coalesce(abs(o.invoice_date - i.invoice_date), 0)"
      " FROM invoices i JOIN LATERAL ("
      "  (SELECT id, invoice_number, total_amount, invoice_date, number_key, created_at, duplicate_of"
      "    FROM invoices n WHERE n.vendor_key = i.vendor_key AND n.number_key = i.number_key"
      "    ORDER BY n.created_at LIMIT 20)"
      "  UNION"
      "  (SELECT id, invoice_number, total_amount, invoice_date, number_key, created_at, duplicate_of"
      "    FROM invoices a WHERE a.vendor_key = i.vendor_key"
      "    AND a.total_amount BETWEEN i.total_amount * 0.99 AND i.total_amount * 1.01"
      "    AND a.invoice_date BETWEEN i.invoice_date - 3 AND i.invoice_date + 3 ORDER BY a.created_at LIMIT "
      "20)"
      " ) o ON (o.created_at, o.id) < (i.created_at, i.id) AND o.duplicate_of IS NULL"
      " WHERE i.id = $1 ORDER BY o.created_at, o.id",
      {invoice.id});
  for (int row = 0; row < rows.size(); ++row) {
    invoice.facts.twins.push_back({rows.str(row, 0), rows.str(row, 1), rows.str(row, 2), rows.str(row, 3),
                                   rows.truth(row, 4), rows.truth(row, 5), rows.truth(row, 6),
                                   std::stoi(rows.str(row, 7))});
  }
}

std::string digest(const InvoiceFacts& facts) {
  Json seen = {facts.vendor_name, facts.invoice_number, facts.invoice_date, facts.currency,
               facts.subtotal,    facts.tax_amount,     facts.total_amount, facts.due_date,
               facts.po_number,   facts.vendor_tax_id,  facts.tax_rate,     facts.freight,
               facts.credit_note, facts.confidence,     facts.vendors_known};
  for (const auto& line : facts.lines)
    seen.push_back({line.number, line.description, line.quantity, line.unit_price, line.line_total,
                    line.item_number, line.tax_rate, line.discount});
  if (const auto& vendor = facts.vendor)
    seen.push_back({vendor->id, vendor->tax_id, vendor->currency, vendor->active, vendor->payment_terms_days,
                    vendor->credit_limit, vendor->max_invoice_amount, vendor->spend});
  if (const auto& order = facts.order) {
    seen.push_back(
        {order->id, order->vendor_id, order->currency, order->total, order->status, order->receipts});
    for (const auto* lines : {&order->lines, &order->received})
      for (const auto& line : *lines) seen.push_back({line.item_number, line.description, line.quantity});
  }
  for (const auto& twin : facts.twins)
    seen.push_back({twin.invoice_id, twin.same_number, twin.same_total, twin.same_date, twin.days_apart});
  return sha256_hex(dump_json(seen));
}

}  // namespace

StoredInvoice collect_facts(Database& database, const std::string& invoice_id) {
  StoredInvoice invoice;
  invoice.id = invoice_id;
  const Keys keys = read_head(database, invoice);
  read_lines(database, invoice);
  read_vendor(database, invoice, keys);
  read_order(database, invoice);
  read_twins(database, invoice, keys);
  invoice.digest = digest(invoice.facts);
  return invoice;
}

}  // namespace celeriac
