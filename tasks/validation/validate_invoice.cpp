#include "tasks/validation/validate_invoice.hpp"

#include "protocol/uuid.hpp"
#include "tasks/store/audit.hpp"
#include "tasks/store/digest.hpp"
#include "tasks/store/slot_database.hpp"
#include "tasks/validation/rules.hpp"
#include "tasks/validation/status.hpp"

#include <algorithm>
#include <chrono>

namespace celeriac {
namespace {

constexpr std::string_view validator_version = "2.0.0";

struct StoredInvoice {
  InvoiceFacts facts;
  InvoiceStatus status = InvoiceStatus::received;
  std::string digest;  // of the facts
};

// Locks the invoice: two validators of one invoice take turns.
StoredInvoice read_facts(Database& database, const std::string& invoice_id) {
  const Rows head = database.run(
      "SELECT status, vendor_name, invoice_number, invoice_date, currency, subtotal, tax_amount, total_amount"
      " FROM invoices WHERE id = $1 FOR UPDATE",
      {invoice_id});
  if (head.empty()) throw invoice_error("InvoiceNotFound", "there is no invoice " + invoice_id);
  StoredInvoice invoice;
  invoice.status = parse_invoice_status(head.text(0, 0)).value();
  std::string* const fields[] = {&invoice.facts.vendor_name,  &invoice.facts.invoice_number,
                                 &invoice.facts.invoice_date, &invoice.facts.currency,
                                 &invoice.facts.subtotal,     &invoice.facts.tax_amount,
                                 &invoice.facts.total_amount};
  Json seen = Json::array();
  for (int column = 1; column <= 7; ++column) {
    *fields[column - 1] = head.str(0, column);
    seen.push_back(head.str(0, column));
  }
  const Rows lines = database.run(
      "SELECT line_number, description, quantity, unit_price, line_total FROM invoice_line_items"
      " WHERE invoice_id = $1 ORDER BY line_number",
      {invoice_id});
  for (int row = 0; row < lines.size(); ++row) {
    invoice.facts.lines.push_back({std::stoi(lines.str(row, 0)), lines.str(row, 1), lines.str(row, 2),
                                   lines.str(row, 3), lines.str(row, 4)});
    for (int column = 0; column < 5; ++column) seen.push_back(lines.str(row, column));
  }
  invoice.digest = sha256_hex(dump_json(seen));
  return invoice;
}

Json check_json(const Check& check) {
  Json out = {{"code", check.rule_code},
              {"severity", to_string(check.severity)},
              {"passed", check.passed},
              {"field", check.field},
              {"message", check.message}};
  if (check.line_number > 0) out["line_number"] = check.line_number;
  if (!check.expected.empty()) out["expected_value"] = check.expected;
  if (!check.actual.empty()) out["actual_value"] = check.actual;
  return out;
}

int count_failed(const std::vector<Check>& checks, Severity severity) {
  return static_cast<int>(std::ranges::count_if(
      checks, [&](const Check& check) { return !check.passed && check.severity == severity; }));
}

void insert_checks(Database& database, const std::string& validation_id, const std::string& invoice_id,
                   const Json& checks) {
  Json rows = Json::array();
  for (const auto& check : checks) {
    Json row = check;
    row["id"] = uuid4();
    row["sequence"] = rows.size() + 1;
    rows.push_back(std::move(row));
  }
  database.run(
      "INSERT INTO invoice_validations (id, validation_id, invoice_id, sequence, rule_code, severity, passed,"
      " field, line_number, expected, actual, message)"
      " SELECT id, $1::uuid, $2::uuid, sequence, code, severity, passed, field, line_number, expected_value,"
      " actual_value, message FROM json_to_recordset($3::json) AS row (id uuid, sequence integer, code text,"
      " severity text, passed boolean, field text, line_number integer, expected_value text,"
      " actual_value text, message text)",
      {validation_id, invoice_id, dump_json(rows)});
}

void move_invoice(Database& database, const std::string& invoice_id, InvoiceStatus from, bool passed) {
  const InvoiceStatus to = after_validation(from, passed);
  if (to == from && (from == InvoiceStatus::staged || from == InvoiceStatus::done)) return;
  database.run(
      "UPDATE invoices SET status = $2, workflow_state = $3, requires_review = requires_review OR NOT $4,"
      " updated_at = now() WHERE id = $1",
      {invoice_id, std::string(to_string(to)), passed ? "validation_passed" : "validation_failed",
       passed ? "true" : "false"});
}

void record_verdict(Database& database, const std::string& invoice_id, const StoredInvoice& invoice) {
  const auto began = std::chrono::steady_clock::now();
  const auto checks = check_invoice(invoice.facts);
  const int errors = count_failed(checks, Severity::error),
            warnings = count_failed(checks, Severity::warning);
  Json documents = Json::array();
  for (const auto& check : checks) documents.push_back(check_json(check));
  const auto took =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began);

  const std::string validation_id = uuid4();
  database.run(
      "INSERT INTO validations (id, invoice_id, passed, checks_json, rules_version, validator_version,"
      " processing_time_ms, input_digest, error_count, warning_count)"
      " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
      {validation_id, invoice_id, errors == 0 ? "true" : "false", dump_json(documents),
       std::string(rules_version), std::string(validator_version), std::to_string(took.count()),
       invoice.digest, std::to_string(errors), std::to_string(warnings)});
  insert_checks(database, validation_id, invoice_id, documents);
  move_invoice(database, invoice_id, invoice.status, errors == 0);
}

Json read_verdict(Database& database, const std::string& invoice_id, const std::string& digest) {
  const Rows rows = database.run(
      "SELECT v.passed, v.error_count, v.warning_count, i.status, v.checks_json,"
      " to_char(v.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"')"
      " FROM validations v JOIN invoices i ON i.id = v.invoice_id"
      " WHERE v.invoice_id = $1 AND v.rules_version = $2 AND v.input_digest = $3",
      {invoice_id, std::string(rules_version), digest});
  if (rows.empty()) return nullptr;
  const auto checks = parse_json(rows.text(0, 4));
  if (!checks) throw DatabaseError(SqlFailure::data, "", "validations.checks_json: " + checks.error().what);
  return {{"invoice_id", invoice_id},
          {"validation_passed", rows.truth(0, 0)},
          {"errors_count", std::stoi(rows.str(0, 1))},
          {"warnings_count", std::stoi(rows.str(0, 2))},
          {"status", rows.str(0, 3)},
          {"rules_version", rules_version},
          {"validated_at", rows.str(0, 5)},
          {"checks", *checks}};
}

}  // namespace

Json validate_invoice(Context& context, const ValidationConfig& config, const std::string& invoice_id) try {
  if (!is_uuid(invoice_id)) throw BadArguments("validate_invoice: invoice_id is not a UUID");
  context.checkpoint();
  Database& database = slot_database(config.database_url);
  return database.transaction([&] {
    audit_as(database, {context.task(), "validation", context.task_id(), ""});
    const StoredInvoice invoice = read_facts(database, invoice_id);
    Json verdict = read_verdict(database, invoice_id, invoice.digest);
    if (!verdict.is_null()) return verdict;
    record_verdict(database, invoice_id, invoice);
    return read_verdict(database, invoice_id, invoice.digest);
  });
} catch (const DatabaseError& error) {
  throw task_error(error);
}

}  // namespace celeriac
