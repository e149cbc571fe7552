#include "tasks/validation/verdict.hpp"

#include "protocol/uuid.hpp"
#include "tasks/validation/exceptions.hpp"

#include <algorithm>
#include <cstdio>

namespace celeriac {
namespace {

constexpr std::string_view validator_version = "2.1.0";

Json check_json(const Check& check) {
  Json out = {{"code", check.rule_code},
              {"rule", check.rule_id},
              {"severity", to_string(check.severity)},
              {"category", to_string(check.category)},
              {"passed", check.passed},
              {"field", check.field},
              {"message", check.message}};
  if (check.line_number > 0) out["line_number"] = check.line_number;
  if (!check.expected.empty()) out["expected_value"] = check.expected;
  if (!check.actual.empty()) out["actual_value"] = check.actual;
  if (!check.tolerance.empty()) out["tolerance"] = check.tolerance;
  if (!check.hint.empty()) out["recovery_hint"] = check.hint;
  return out;
}

int count_failed(const std::vector<Check>& checks, Severity severity) {
  return static_cast<int>(std::ranges::count_if(
      checks, [&](const Check& check) { return !check.passed && check.severity == severity; }));
}

std::string score_text(const std::vector<Check>& checks) {
  char text[16];
  std::snprintf(text, sizeof text, "%.2f", score(checks));
  return text;
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
      " field, line_number, expected, actual, message, category, tolerance, recovery_hint)"
      " SELECT id, $1::uuid, $2::uuid, sequence, code, severity, passed, field, line_number, expected_value,"
      " actual_value, message, category, tolerance, recovery_hint FROM json_to_recordset($3::json) AS row "
      "(id uuid,"
      " sequence integer, code text, severity text, passed boolean, field text, line_number integer,"
      " expected_value text, actual_value text, message text, category exceptioncategory, tolerance text,"
      " recovery_hint text)",
      {validation_id, invoice_id, dump_json(rows)});
}

// The vendor and order that were found are the invoice's from now on. A state is only written by a verdict
// that may change it.
void move_invoice(Database& database, const StoredInvoice& invoice, bool passed) {
  const InvoiceStatus to = after_validation(invoice.status, passed);
  const bool handed_on = to == invoice.status && (to == InvoiceStatus::staged || to == InvoiceStatus::done);
  if (handed_on) return;
  const auto& vendor = invoice.facts.vendor;
  const auto& order = invoice.facts.order;
  database.run(
      "UPDATE invoices SET status = $2, workflow_state = $3, requires_review = requires_review OR NOT $4,"
      " vendor_id = coalesce(vendor_id, $5), purchase_order_id = coalesce($6, purchase_order_id), updated_at "
      "= now()"
      " WHERE id = $1",
      {invoice.id, std::string(to_string(to)), passed ? "validation_passed" : "validation_failed",
       passed ? "true" : "false", vendor ? SqlValue(vendor->id) : SqlValue(),
       order ? SqlValue(order->id) : SqlValue()});
}

void record_duplicates(Database& database, const StoredInvoice& invoice, const std::vector<Check>& checks) {
  for (const auto& check : checks) {
    if (check.passed || check.category != Category::duplicate) continue;
    const auto twin = std::ranges::find(invoice.facts.twins, check.actual, &TwinFacts::invoice_id);
    if (twin == invoice.facts.twins.end()) continue;
    const bool certain = twin->same_number && twin->same_total && twin->same_date;
    database.run(
        "INSERT INTO duplicate_records (id, invoice_id, duplicate_invoice_id, strategy, confidence, "
        "match_criteria)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        {uuid4(), invoice.id, twin->invoice_id, twin->same_number ? "VENDOR_NUMBER" : "BUSINESS_RULES",
         certain ? "1" : "0.8",
         dump_json({{"same_number", twin->same_number},
                    {"same_total", twin->same_total},
                    {"same_date", twin->same_date},
                    {"days_apart", twin->days_apart}})});
  }
}

}  // namespace

void record_verdict(Database& database, const StoredInvoice& invoice, const RuleSet& rules,
                    const std::vector<Check>& checks) {
  const int errors = count_failed(checks, Severity::error),
            warnings = count_failed(checks, Severity::warning);
  // A strict set takes its warnings for errors, in the count too.
  const int counted_errors = rules.strict() ? errors + warnings : errors;
  Json documents = Json::array();
  for (const auto& check : checks) documents.push_back(check_json(check));
  const std::string validation_id = uuid4();
  const bool passed = passes(checks, rules);
  database.run(
      "INSERT INTO validations (id, invoice_id, passed, checks_json, rules_version, rules_digest, "
      "validator_version,"
      " input_digest, error_count, warning_count, score) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, "
      "$11)",
      {validation_id, invoice.id, passed ? "true" : "false", dump_json(documents), rules.version(),
       rules.digest(), std::string(validator_version), invoice.digest, std::to_string(counted_errors),
       std::to_string(rules.strict() ? 0 : warnings), score_text(checks)});
  insert_checks(database, validation_id, invoice.id, documents);
  record_exceptions(database, invoice, validation_id, checks);
  record_duplicates(database, invoice, checks);
  move_invoice(database, invoice, passed);
}

void apply_verdict_again(Database& database, const StoredInvoice& invoice, const RuleSet& rules,
                         const std::vector<Check>& checks) {
  const Rows verdict = database.run(
      "SELECT id FROM validations WHERE invoice_id = $1 AND rules_version = $2 AND input_digest = $3",
      {invoice.id, rules.version(), invoice.digest});
  record_exceptions(database, invoice, verdict.str(0, 0), checks);
  record_duplicates(database, invoice, checks);
  move_invoice(database, invoice, passes(checks, rules));
}

Json read_verdict(Database& database, const StoredInvoice& invoice, const RuleSet& rules) {
  const Rows rows = database.run(
      "SELECT v.passed, v.error_count, v.warning_count, i.status, v.checks_json,"
      " to_char(v.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"'), v.score"
      " FROM validations v JOIN invoices i ON i.id = v.invoice_id"
      " WHERE v.invoice_id = $1 AND v.rules_version = $2 AND v.input_digest = $3",
      {invoice.id, rules.version(), invoice.digest});
  if (rows.empty()) return nullptr;
  const auto checks = parse_json(rows.text(0, 4));
  if (!checks) throw DatabaseError(SqlFailure::data, "", "validations.checks_json: " + checks.error().what);
  return {{"invoice_id", invoice.id},
          {"validation_passed", rows.truth(0, 0)},
          {"errors_count", std::stoi(rows.str(0, 1))},
          {"warnings_count", std::stoi(rows.str(0, 2))},
          {"status", rows.str(0, 3)},
          {"score", std::stod(rows.str(0, 6))},
          {"rules_version", rules.version()},
          {"validated_at", rows.str(0, 5)},
          {"checks", *checks}};
}

}  // namespace celeriac
