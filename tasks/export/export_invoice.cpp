#include "tasks/export/export_invoice.hpp"

#include "protocol/uuid.hpp"
#include "tasks/export/csv.hpp"
#include "tasks/export/invalid.hpp"
#include "tasks/export/writer.hpp"
#include "tasks/store/audit.hpp"
#include "tasks/store/digest.hpp"
#include "tasks/store/slot_database.hpp"
#include "tasks/store/text_values.hpp"
#include "tasks/validation/status.hpp"

namespace celeriac {
namespace {

constexpr std::uint64_t max_invoice_file = 64u << 20;

// Both vocabularies that readers of these files know: invoice_no and invoice_number, total and total_amount.
// PostgreSQL makes the document, so amounts are the digits that are stored.
constexpr const char* payload_statement =
    "SELECT json_build_object('header', json_build_object("
    " 'vendor_name', i.vendor_name, 'invoice_no', i.invoice_number, 'invoice_number', i.invoice_number,"
    " 'invoice_date', i.invoice_date, 'due_date', i.due_date, 'po_no', i.po_number, 'po_number', i.po_number,"
    " 'currency', i.currency, 'subtotal', i.subtotal::text, 'tax', i.tax_amount::text, 'tax_amount', "
    "i.tax_amount::text,"
    " 'total', i.total_amount::text, 'total_amount', i.total_amount::text),"
    " 'lines', coalesce((SELECT json_agg(json_build_object('line_number', l.line_number, 'item_number', "
    "l.item_number,"
    " 'description', l.description, 'quantity', l.quantity::text, 'unit_price', l.unit_price::text,"
    " 'amount', l.line_total::text, 'line_total', l.line_total::text) ORDER BY l.line_number)"
    " FROM invoice_line_items l WHERE l.invoice_id = i.id), '[]'::json),"
    " 'metadata', json_build_object('invoice_id', i.id, 'vendor_id', i.vendor_id, 'document_type', "
    "i.document_type,"
    " 'processed_at', to_char(i.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),"
    " 'confidence', i.confidence_score)), i.status FROM invoices i WHERE i.id = $1 FOR UPDATE";

std::string csv_document(const Json& payload) {
  const Json &header = payload.at("header"), &metadata = payload.at("metadata");
  const auto text = [](const Json& value) {
    return value.is_null() ? std::string() : value.is_string() ? value.get<std::string>() : dump_json(value);
  };
  std::string out = csv_row({{"INVOICE HEADER"}});
  const std::pair<const char*, const char*> fields[] = {
      {"Vendor Name", "vendor_name"}, {"Invoice Number", "invoice_number"}, {"Invoice Date", "invoice_date"},
      {"Due Date", "due_date"},       {"PO Number", "po_number"},           {"Currency", "currency"}};
  const std::pair<const char*, const char*> amounts[] = {
      {"Subtotal", "subtotal"}, {"Tax", "tax_amount"}, {"Total", "total_amount"}};
  for (const auto& [title, key] : fields) out += csv_row({{title}, {text(header.at(key))}});
  for (const auto& [title, key] : amounts)
    out += csv_row({{title}, {text(header.at(key)), CellKind::number}});
  out += csv_row({{""}}) + csv_row({{"LINE ITEMS"}}) +
         csv_row({{"Line #"}, {"Description"}, {"Quantity"}, {"Unit Price"}, {"Amount"}});
  for (const auto& line : payload.at("lines")) {
    out += csv_row({{text(line.at("line_number")), CellKind::number},
                    {text(line.at("description"))},
                    {text(line.at("quantity")), CellKind::number},
                    {text(line.at("unit_price")), CellKind::number},
                    {text(line.at("amount")), CellKind::number}});
  }
  return out + csv_row({{""}}) + csv_row({{"METADATA"}}) +
         csv_row({{"Invoice ID"}, {text(metadata.at("invoice_id"))}}) +
         csv_row({{"Processed At"}, {text(metadata.at("processed_at"))}});
}

Json result(Database& database, const std::string& export_id) {
  const Rows row = database.run(
      "SELECT invoice_id, lower(format::text), file_name, file_size, storage_url,"
      " to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US') FROM staged_exports WHERE id "
      "= $1",
      {export_id});
  return {{"invoice_id", row.str(0, 0)},  {"export_format", row.str(0, 1)},
          {"file_name", row.str(0, 2)},   {"file_size", std::stoll(row.str(0, 3))},
          {"storage_url", row.str(0, 4)}, {"exported_at", row.str(0, 5)}};
}

}  // namespace

Json export_invoice(Context& context, Database& database, Storage& storage, const std::string& invoice_id,
                    const std::string& export_format, const std::string& destination) {
  if (!is_uuid(invoice_id)) throw BadArguments("export_invoice: invoice_id is not a UUID");
  const auto format = parse_export_format(export_format);
  if (!format || (*format != ExportFormat::csv && *format != ExportFormat::json))
    invalid_export("one invoice is exported as json or csv, not '" + clean_text(export_format, 50) + "'");
  const std::string where = clean_text(destination, 255);
  if (where.empty()) invalid_export("the destination is empty");
  // The row stays locked until the file is stored: of any number of runs one writes.
  return database.transaction([&] {
    audit_as(database, {context.task(), "export", context.task_id(), ""});
    const Rows row = database.run(payload_statement, {invoice_id});
    if (row.empty()) throw invoice_error("InvoiceNotFound", "there is no invoice " + invoice_id);
    const std::string digest = sha256_hex(row.text(0, 0)), status = row.str(0, 1);
    const Rows known = database.run(
        "SELECT id FROM staged_exports WHERE invoice_id = $1 AND format = $2 AND destination = $3 AND "
        "payload_digest = $4",
        {invoice_id, std::string(to_string(*format)), where, digest});
    if (!known.empty()) return result(database, known.str(0, 0));
    const auto from = parse_invoice_status(status).value();
    if (!may_become(from, InvoiceStatus::staged) && from != InvoiceStatus::done)
      throw invoice_error("InvoiceNotReady",
                          "invoice " + invoice_id + " is " + status + "; validate or approve it first");
    const auto payload = parse_json(row.text(0, 0));
    if (!payload)
      throw DatabaseError(SqlFailure::data, "", "invoice " + invoice_id + ": " + payload.error().what);
    const std::string id = uuid4(), name = "invoice_" + invoice_id + "_" + digest.substr(0, 12) +
                                           std::string(extension(*format));
    const std::string document =
        *format == ExportFormat::csv
            ? csv_document(*payload)
            : dump_json({{"export_format", "json"},
                         {"export_version", "1.0"},
                         {"invoice", *payload},
                         {"export_metadata", {{"system", "celeriac"}, {"export_rules_version", "1.0.0"}}}}) +
                  "\n";
    const auto reader = read_memory(document);
    StoredObject stored;
    try {
      stored = storage.put_as(*reader, "exports/" + name, max_invoice_file);
    } catch (const StorageError& error) {
      throw invoice_error("StorageUnavailable", error.what());
    }
    database.run(
        "INSERT INTO staged_exports (id, invoice_id, payload_json, payload_digest, format, destination, "
        "file_name, file_size,"
        " storage_url) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        {id, invoice_id, row.str(0, 0), digest, std::string(to_string(*format)), where, name,
         std::to_string(stored.size), stored.uri});
    if (from != InvoiceStatus::done)
      database.run(
          "UPDATE invoices SET status = 'STAGED', workflow_state = 'export_staged', updated_at = now() WHERE "
          "id = $1",
          {invoice_id});
    return result(database, id);
  });
}

}  // namespace celeriac
