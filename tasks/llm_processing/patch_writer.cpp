#include "tasks/llm_processing/patch_writer.hpp"

#include "protocol/uuid.hpp"
#include "tasks/store/audit.hpp"
#include "tasks/store/slot_database.hpp"
#include "tasks/store/text_values.hpp"

#include <array>

namespace celeriac {
namespace {

constexpr std::string_view parser_version = "celeriac-1+llm";
constexpr double review_threshold = 0.85;

struct Column {
  std::string_view field, column;
  SqlValue (*value)(std::string_view);
};
SqlValue short_text(std::string_view text) { return text_value(text, 100); }
SqlValue name_text(std::string_view text) { return text_value(text, 200); }
SqlValue tax_id_text(std::string_view text) { return text_value(text, 50); }
SqlValue currency_text(std::string_view text) { return text_value(text, 3); }
SqlValue description_text(std::string_view text) { return text_value(text, 2000); }

constexpr std::array<Column, 11> invoice_columns = {{
    {"invoice_number", "invoice_number", short_text},
    {"seller_name", "vendor_name", name_text},
    {"total_amount", "total_amount", amount_value},
    {"invoice_date", "invoice_date", date_value},
    {"po_number", "po_number", short_text},
    {"subtotal", "subtotal", amount_value},
    {"tax_amount", "tax_amount", amount_value},
    {"currency", "currency", currency_text},
    {"due_date", "due_date", date_value},
    {"buyer_name", "buyer_name", name_text},
    {"seller_vat_id", "vendor_tax_id", tax_id_text},
}};
constexpr std::array<Column, 2> line_columns = {{
    {"description", "description", description_text},
    {"line_total", "line_total", amount_value},
}};

Json parsed(std::string_view text) {
  auto json = parse_json(text);
  if (!json) throw DatabaseError(SqlFailure::data, "", "invoice_extractions: " + json.error().what);
  return std::move(*json);
}

// What a person corrected stays.
void write_column(Database& database, const std::string& invoice_id, const Patch& patch) {
  const auto write = [&](const Column& column) {
    if (column.field != patch.before.field) return;
    const std::string name(column.column);
    if (patch.before.line == 0) {
      database.run(
          "UPDATE invoices SET " + name + " = $2 WHERE id = $1 AND '" + name + "' <> ALL (corrected_fields)",
          {invoice_id, column.value(patch.value)});
    } else {
      database.run("UPDATE invoice_line_items SET " + name +
                       " = $3 WHERE invoice_id = $1 AND line_number = $2 AND '" + name +
                       "' <> ALL (corrected_fields)",
                   {invoice_id, std::to_string(patch.before.line), column.value(patch.value)});
    }
  };
  if (patch.before.line == 0) {
    for (const Column& column : invoice_columns) write(column);
  } else {
    for (const Column& column : line_columns) write(column);
  }
}

}  // namespace

ReadExtraction read_extraction(Database& database, const std::string& invoice_id) {
  const Rows rows = database.run(
      "SELECT e.id, i.status, i.uploaded_by_user_id, e.header_json, e.lines_json, e.confidence_json,"
      " coalesce(i.confidence_score, 0) FROM invoices i JOIN invoice_extractions e ON e.invoice_id = i.id"
      " WHERE i.id = $1 ORDER BY e.created_at DESC LIMIT 1",
      {invoice_id});
  if (rows.empty())
    throw invoice_error("InvoiceNotFound", "no invoice " + invoice_id + " with an extraction");
  return {rows.str(0, 0),          rows.str(0, 1),          rows.str(0, 2),           parsed(rows.text(0, 3)),
          parsed(rows.text(0, 4)), parsed(rows.text(0, 5)), std::stod(rows.str(0, 6))};
}

bool write_patches(Database& database, const std::string& invoice_id, const std::string& task_id,
                   const ReadExtraction& before, const std::vector<Patch>& patches, const Patched& after,
                   const std::string& model, const std::string& request_key) {
  return database.transaction([&] {
    audit_as(database, {"llm_processing.patch_fields", "fields corrected by " + model, task_id, ""});
    database.run("SELECT 1 FROM invoices WHERE id = $1 FOR UPDATE", {invoice_id});
    const Rows newest = database.run(
        "SELECT id FROM invoice_extractions WHERE invoice_id = $1 ORDER BY created_at DESC LIMIT 1",
        {invoice_id});
    if (newest.empty() || newest.str(0, 0) != before.id) return false;
    for (const Patch& patch : patches) {
      const bool accepted = patch.refusal.empty();
      database.run(
          "INSERT INTO llm_patches (id, invoice_id, usage_id, field, line_number, old_value, old_confidence,"
          " new_value, new_confidence, model, accepted, refusal)"
          " VALUES ($1, $2, (SELECT id FROM llm_usage WHERE request_key = $3), $4, $5, $6, $7, $8, $9, $10, "
          "$11,"
          " $12) ON CONFLICT (usage_id, field, line_number) DO NOTHING",
          {uuid4(), invoice_id, request_key, patch.before.field, std::to_string(patch.before.line),
           clean_text(patch.before.value, 2000), confidence_value(patch.before.confidence),
           clean_text(patch.value, 2000),
           accepted ? SqlValue(confidence_value(patch.confidence)) : SqlValue(), model,
           accepted ? "true" : "false", accepted ? SqlValue() : SqlValue(patch.refusal)});
    }
    if (!after.changed) return true;
    database.run(
        "INSERT INTO invoice_extractions (id, invoice_id, header_json, lines_json, confidence_json, "
        "parser_version,"
        " processing_time_ms, page_count, created_at) SELECT $2, invoice_id, $3, $4, $5, $6, "
        "processing_time_ms,"
        " page_count, clock_timestamp() FROM invoice_extractions WHERE id = $1",
        {before.id, uuid4(), dump_json(after.header), dump_json(after.lines), dump_json(after.confidence),
         std::string(parser_version)});
    for (const Patch& patch : patches)
      if (patch.refusal.empty()) write_column(database, invoice_id, patch);
    database.run(
        "UPDATE invoices SET confidence_score = $2, requires_review = requires_review AND $3::boolean,"
        " processed_by_llm = true, validation_task_id = $4, validation_sent_at = NULL, updated_at = now()"
        " WHERE id = $1",
        {invoice_id, confidence_value(after.overall), after.overall < review_threshold ? "true" : "false",
         uuid4()});
    return true;
  });
}

Json written_patches(Database& database, const std::string& task_id) {
  const Rows rows = database.run(
      "SELECT p.field, p.line_number, p.old_value, p.new_value, p.accepted, p.refusal, p.model FROM "
      "llm_patches p"
      " JOIN llm_usage u ON u.id = p.usage_id WHERE u.task_id = $1 ORDER BY p.line_number, p.field",
      {task_id});
  if (rows.empty()) return nullptr;
  Json corrections = Json::array();
  for (int i = 0; i < rows.size(); ++i) {
    Json correction = {{"field", rows.str(i, 0)},
                       {"line_number", std::stoi(rows.str(i, 1))},
                       {"old_value", rows.str(i, 2)},
                       {"new_value", rows.str(i, 3)},
                       {"accepted", rows.truth(i, 4)}};
    if (!rows.is_null(i, 5)) correction["refusal"] = rows.str(i, 5);
    corrections.push_back(std::move(correction));
  }
  return {{"model", rows.str(0, 6)}, {"corrections", corrections}};
}

}  // namespace celeriac
