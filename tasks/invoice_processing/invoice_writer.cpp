#include "tasks/invoice_processing/invoice_writer.hpp"

#include "protocol/uuid.hpp"
#include "tasks/store/text_values.hpp"

#include <algorithm>
#include <cstdio>

namespace celeriac {
namespace {

constexpr double review_threshold = 0.85;
constexpr std::string_view parser_version = "celeriac-1";
constexpr std::size_t max_kept_text = 4000;  // characters: what a language model gets to see of a document

SqlValue optional_text(const std::string& text) { return text.empty() ? SqlValue() : SqlValue(text); }

Json json_or_null(const SqlValue& value) { return value ? Json(*value) : Json(nullptr); }

Json field_json(const Field& field) {
  Json out = {{"value", clean_text(field.value, 2000, true)},
              {"confidence", std::stod(confidence_value(field.confidence))},
              {"source", to_string(field.source)}};
  if (field.page > 0) out["page"] = field.page;
  if (field.box) out["box"] = {field.box->x0, field.box->y0, field.box->x1, field.box->y1};
  return out;
}

Json header_json(const ExtractedInvoice& invoice) {
  Json fields = Json::object();
  for (const auto& [name, member] : header_fields()) {
    if ((invoice.*member).present()) fields[std::string(name)] = field_json(invoice.*member);
  }
  Json warnings = Json::array();
  for (const auto& warning : invoice.warnings) {
    warnings.push_back(
        {{"code", clean_text(warning.code, 100)}, {"message", clean_text(warning.message, 500)}});
  }
  return {{"method", to_string(invoice.method)},
          {"xml_format", clean_text(invoice.xml_format, 20)},
          {"page_count", invoice.page_count},
          {"fields", fields},
          {"text", clean_text(invoice.raw_text, max_kept_text, true)},
          {"warnings", warnings}};
}

Json lines_json(const ExtractedInvoice& invoice) {
  Json lines = Json::array();
  for (const auto& item : invoice.line_items) {
    Json line = Json::object();
    for (const auto& [name, member] : item_fields()) {
      if ((item.*member).present()) line[std::string(name)] = field_json(item.*member);
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

Json confidence_json(const ExtractedInvoice& invoice) {
  Json out = {{"overall", std::stod(confidence_value(invoice.confidence))}};
  for (const auto& [name, member] : header_fields()) {
    const Field& field = invoice.*member;
    if (field.present()) out[std::string(name)] = std::stod(confidence_value(field.confidence));
  }
  return out;
}

double line_confidence(const LineItem& item) {
  double sum = 0;
  int count = 0;
  for (const auto& [name, member] : item_fields()) {
    if (!(item.*member).present()) continue;
    sum += (item.*member).confidence;
    ++count;
  }
  return count ? sum / count : 0;
}

// As people write it: "830B", "24.5KB", "1.2MB".
std::string size_text(std::uint64_t bytes) {
  char text[32];
  if (bytes < 1024) {
    std::snprintf(text, sizeof text, "%uB", static_cast<unsigned>(bytes));
  } else if (bytes < 1024 * 1024) {
    std::snprintf(text, sizeof text, "%.1fKB", static_cast<double>(bytes) / 1024);
  } else {
    std::snprintf(text, sizeof text, "%.1fMB", static_cast<double>(bytes) / (1024 * 1024));
  }
  return text;
}

SqlValue currency_value(const std::string& text) {
  const bool code =
      text.size() == 3 && std::ranges::all_of(text, [](char c) { return c >= 'A' && c <= 'Z'; });
  return code ? SqlValue(text) : SqlValue();
}

// True when the document states something that its column cannot hold.
bool lost_a_value(const ExtractedInvoice& invoice) {
  const auto lost = [](const Field& field, const SqlValue& stored) { return field.present() && !stored; };
  return lost(invoice.invoice_date, date_value(invoice.invoice_date.value)) ||
         lost(invoice.due_date, date_value(invoice.due_date.value)) ||
         lost(invoice.subtotal, amount_value(invoice.subtotal.value)) ||
         lost(invoice.tax_amount, amount_value(invoice.tax_amount.value)) ||
         lost(invoice.total_amount, amount_value(invoice.total_amount.value)) ||
         lost(invoice.currency, currency_value(invoice.currency.value));
}

bool needs_review(const ExtractedInvoice& invoice) {
  return invoice.confidence < review_threshold || invoice.type == DocumentType::other ||
         lost_a_value(invoice);
}

std::string insert_file(Database& database, const DocumentFile& file, const std::string& mime_type) {
  database.run(
      "INSERT INTO file_storage (id, user_id, file_name, file_size, mime_type, blob_url, blob_path, "
      "file_hash,"
      " upload_source, processing_status) VALUES ($1, ensure_user($2), $3, $4, $5, $6, $7, $8, $9, "
      "'processed')"
      " ON CONFLICT (file_hash) DO UPDATE SET processing_status = 'processed'",
      {uuid4(), optional_text(file.user_id), clean_text(file.name, 500), std::to_string(file.stored.size),
       clean_text(mime_type, 100), file.stored.uri, file.stored.key, file.stored.sha256,
       clean_text(file.upload_source, 50)});
  return database.run("SELECT id FROM file_storage WHERE file_hash = $1", {file.stored.sha256}).str(0, 0);
}

// Empty: another run has written this document's invoice. A row that waited for its document (RECEIVED) is
// completed and keeps its id.
std::optional<std::string> insert_invoice(Database& database, const InvoiceIds& ids, const DocumentFile& file,
                                          const ExtractedInvoice& invoice) {
  const Rows written = database.run(
      "INSERT INTO invoices AS i (id, file_storage_id, uploaded_by_user_id, invoice_number, invoice_date, "
      "due_date,"
      " ship_date, vendor_name, vendor_tax_id, buyer_name, po_number, currency, subtotal, tax_amount, "
      "total_amount,"
      " document_type, confidence_score, requires_review, original_filename, file_url, file_hash, file_name, "
      "file_size,"
      " status, workflow_state, validation_task_id) VALUES ($1, $2, ensure_user($3), $4, $5, $6, $7, $8, $9, "
      "$10, $11,"
      " $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, 'PARSED', 'parsed', $24)"
      " ON CONFLICT (file_hash) DO UPDATE SET (file_storage_id, uploaded_by_user_id, invoice_number, "
      "invoice_date,"
      " due_date, ship_date, vendor_name, vendor_tax_id, buyer_name, po_number, currency, subtotal, "
      "tax_amount,"
      " total_amount, document_type, confidence_score, requires_review, original_filename, file_url, "
      "file_name,"
      " file_size, status, workflow_state, validation_task_id, updated_at) = (excluded.file_storage_id,"
      " coalesce(i.uploaded_by_user_id, excluded.uploaded_by_user_id), excluded.invoice_number, "
      "excluded.invoice_date,"
      " excluded.due_date, excluded.ship_date, excluded.vendor_name, excluded.vendor_tax_id, "
      "excluded.buyer_name,"
      " excluded.po_number, excluded.currency, excluded.subtotal, excluded.tax_amount, excluded.total_amount,"
      " excluded.document_type, excluded.confidence_score, excluded.requires_review, "
      "excluded.original_filename,"
      " excluded.file_url, excluded.file_name, excluded.file_size, excluded.status, excluded.workflow_state,"
      " excluded.validation_task_id, now()) WHERE i.status = 'RECEIVED' RETURNING i.id",
      {ids.invoice_id,
       ids.file_id,
       optional_text(file.user_id),
       text_value(invoice.invoice_number.value, 100),
       date_value(invoice.invoice_date.value),
       date_value(invoice.due_date.value),
       date_value(invoice.delivery_date.value),
       text_value(invoice.seller_name.value, 200),
       text_value(invoice.seller_vat_id.value, 50),
       text_value(invoice.buyer_name.value, 200),
       text_value(invoice.po_number.value, 100),
       currency_value(invoice.currency.value),
       amount_value(invoice.subtotal.value),
       amount_value(invoice.tax_amount.value),
       amount_value(invoice.total_amount.value),
       std::string(to_string(invoice.type)),
       confidence_value(invoice.confidence),
       needs_review(invoice) ? "true" : "false",
       clean_text(file.name, 500),
       file.stored.uri,
       file.stored.sha256,
       clean_text(file.name, 255),
       size_text(file.stored.size),
       uuid4()});
  if (written.empty()) return std::nullopt;
  return written.str(0, 0);
}

// All lines in one statement: a document may have thousands.
void insert_lines(Database& database, const std::string& invoice_id, const ExtractedInvoice& invoice) {
  Json rows = Json::array();
  int number = 0;
  for (const auto& item : invoice.line_items) {
    const SqlValue rate = item.tax_rate.value.size() <= 8 ? amount_value(item.tax_rate.value) : SqlValue();
    const bool rate_fits = rate && std::abs(std::stod(*rate)) < 1000;
    rows.push_back({{"id", uuid4()},
                    {"line_number", ++number},
                    {"description", json_or_null(text_value(item.description.value, 2000))},
                    {"quantity", json_or_null(amount_value(item.quantity.value))},
                    {"unit_of_measure", json_or_null(text_value(item.unit.value, 50))},
                    {"unit_price", json_or_null(amount_value(item.unit_price.value))},
                    {"tax_rate", rate_fits ? Json(*rate) : Json(nullptr)},
                    {"line_total", json_or_null(amount_value(item.line_total.value))},
                    {"confidence_score", confidence_value(line_confidence(item))}});
  }
  database.run(
      "INSERT INTO invoice_line_items (id, invoice_id, line_number, description, quantity, unit_of_measure,"
      " unit_price, tax_rate, line_total, confidence_score)"
      " SELECT id, $1::uuid, line_number, description, quantity, unit_of_measure, unit_price, tax_rate,"
      " line_total, confidence_score FROM json_to_recordset($2::json) AS line (id uuid, line_number integer,"
      " description text, quantity amount, unit_of_measure text, unit_price amount, tax_rate numeric,"
      " line_total amount, confidence_score confidence) ON CONFLICT (invoice_id, line_number) DO NOTHING",
      {invoice_id, dump_json(rows)});
}

// By the clock: the newest one counts, and a transaction may have waited for another one that wrote one.
void insert_extraction(Database& database, const std::string& invoice_id, const ExtractedInvoice& invoice,
                       std::chrono::milliseconds took) {
  database.run(
      "INSERT INTO invoice_extractions (id, invoice_id, header_json, lines_json, confidence_json,"
      " parser_version, processing_time_ms, page_count, created_at)"
      " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp())",
      {uuid4(), invoice_id, dump_json(header_json(invoice)), dump_json(lines_json(invoice)),
       dump_json(confidence_json(invoice)), std::string(parser_version), std::to_string(took.count()),
       std::to_string(invoice.page_count)});
}

Json parsed(const Rows& rows, int column) {
  auto json = parse_json(rows.text(0, column));
  if (!json) throw DatabaseError(SqlFailure::data, "", "invoice_extractions: " + json.error().what);
  return std::move(*json);
}

}  // namespace

std::optional<InvoiceIds> find_invoice(Database& database, const std::string& sha256) {
  const Rows rows = database.run(
      "SELECT id, file_storage_id FROM invoices WHERE file_hash = $1 AND status <> 'RECEIVED'", {sha256});
  if (rows.empty()) return std::nullopt;
  return InvoiceIds{rows.str(0, 0), rows.str(0, 1)};
}

InvoiceIds save_invoice(Database& database, const DocumentFile& file, const ExtractedInvoice& invoice,
                        std::chrono::milliseconds took) {
  InvoiceIds ids;
  ids.file_id = insert_file(database, file, invoice.mime_type);
  ids.invoice_id = file.invoice_id.empty() ? uuid4() : file.invoice_id;
  const auto written = insert_invoice(database, ids, file, invoice);
  if (!written) return find_invoice(database, file.stored.sha256).value();
  ids.invoice_id = *written;

  insert_lines(database, ids.invoice_id, invoice);
  insert_extraction(database, ids.invoice_id, invoice, took);
  return ids;
}

std::optional<KeptCorrections> replace_reading(Database& database, const std::string& invoice_id,
                                               const ExtractedInvoice& invoice,
                                               std::chrono::milliseconds took) {
  const std::pair<const char*, SqlValue> read[] = {
      {"invoice_number", text_value(invoice.invoice_number.value, 100)},
      {"invoice_date", date_value(invoice.invoice_date.value)},
      {"due_date", date_value(invoice.due_date.value)},
      {"ship_date", date_value(invoice.delivery_date.value)},
      {"vendor_name", text_value(invoice.seller_name.value, 200)},
      {"vendor_tax_id", text_value(invoice.seller_vat_id.value, 50)},
      {"buyer_name", text_value(invoice.buyer_name.value, 200)},
      {"po_number", text_value(invoice.po_number.value, 100)},
      {"currency", currency_value(invoice.currency.value)},
      {"subtotal", amount_value(invoice.subtotal.value)},
      {"tax_amount", amount_value(invoice.tax_amount.value)},
      {"total_amount", amount_value(invoice.total_amount.value)},
  };
  std::vector<SqlValue> values = {invoice_id, std::string(to_string(invoice.type)),
                                  confidence_value(invoice.confidence),
                                  needs_review(invoice) ? "true" : "false", uuid4()};
  std::string sets;
  for (const auto& [column, value] : read) {
    values.push_back(value);
    const std::string name(column);
    sets += name + " = CASE WHEN '" + name + "' = ANY (corrected_fields) THEN " + name + " ELSE $" +
            std::to_string(values.size()) + " END, ";
  }
  const Rows written = database.run(
      "UPDATE invoices SET " + sets +
          "document_type = $2, confidence_score = $3, requires_review = $4, status = 'PARSED',"
          " workflow_state = 'parsed', processed_by_llm = false, validation_task_id = $5,"
          " validation_sent_at = NULL, updated_at = now() WHERE id = $1"
          " AND status IN ('PARSED', 'VALIDATED', 'EXCEPTION') RETURNING to_json(corrected_fields)",
      values);
  if (written.empty()) return std::nullopt;
  KeptCorrections kept;
  for (const auto& field : parsed(written, 0)) kept.fields.push_back(field.get<std::string>());

  database.run("DELETE FROM invoice_line_items WHERE invoice_id = $1 AND corrected_fields = '{}'",
               {invoice_id});
  const Rows lines = database.run(
      "SELECT line_number FROM invoice_line_items WHERE invoice_id = $1 ORDER BY line_number", {invoice_id});
  for (int i = 0; i < lines.size(); ++i) kept.lines.push_back(std::stoi(lines.str(i, 0)));
  insert_lines(database, invoice_id, invoice);
  insert_extraction(database, invoice_id, invoice, took);
  return kept;
}

Json read_invoice(Database& database, const InvoiceIds& ids) {
  const Rows rows = database.run(
      "SELECT i.file_hash, i.document_type, i.confidence_score, i.requires_review, i.validation_task_id,"
      " e.header_json, e.lines_json, f.mime_type, f.blob_url"
      " FROM invoices i JOIN file_storage f ON f.id = i.file_storage_id"
      " JOIN invoice_extractions e ON e.invoice_id = i.id WHERE i.id = $1 ORDER BY e.created_at DESC LIMIT 1",
      {ids.invoice_id});
  if (rows.empty())
    throw DatabaseError(SqlFailure::data, "", "invoice " + ids.invoice_id + " has no extraction");
  const Json header = parsed(rows, 5);
  return {{"invoice_id", ids.invoice_id},
          {"file_storage_id", ids.file_id},
          {"file_hash", rows.str(0, 0)},
          {"storage_uri", rows.str(0, 8)},
          {"mime_type", rows.str(0, 7)},
          {"document_type", rows.str(0, 1)},
          {"method", header.at("method")},
          {"page_count", header.at("page_count")},
          {"confidence", std::stod(rows.str(0, 2))},
          {"requires_review", rows.truth(0, 3)},
          {"validation_task_id", rows.str(0, 4)},
          {"fields", header.at("fields")},
          {"line_items", parsed(rows, 6)},
          {"warnings", header.at("warnings")}};
}

}  // namespace celeriac
