#include "tasks/validation/exceptions.hpp"

#include "protocol/uuid.hpp"
#include "tasks/store/slot_database.hpp"
#include "tasks/store/text_values.hpp"
#include "tasks/validation/approvals.hpp"
#include "tasks/validation/taxonomy.hpp"

#include <algorithm>
#include <array>

namespace celeriac {
namespace {

constexpr std::string_view exception_workflow = "EXCEPTION_APPROVAL";

Json details(const Check& check) {
  const Handling& what = handling(check.category);
  Json actions = Json::array();
  for (const auto action : what.actions) actions.push_back(action);
  return {{"category", to_string(check.category)},
          {"severity", to_string(check.severity)},
          {"rule", check.rule_id},
          {"issues", Json::array({{{"code", check.rule_code},
                                   {"message", check.message},
                                   {"field", check.field},
                                   {"line_number", check.line_number},
                                   {"expected_value", check.expected},
                                   {"actual_value", check.actual},
                                   {"tolerance", check.tolerance},
                                   {"recovery_hint", check.hint}}})},
          {"auto_resolution_possible", what.auto_resolvable},
          {"suggested_actions", actions}};
}

// A fault may be found twice under one code (two rules, one field): it is one exception.
Json open_rows(const std::vector<Check>& checks) {
  Json rows = Json::array();
  for (const auto& check : checks) {
    if (check.passed || check.severity != Severity::error) continue;
    const auto same = std::ranges::find_if(rows, [&](const Json& row) {
      return row["reason_code"] == check.rule_code && row["field"] == check.field &&
             row["line_number"] == check.line_number;
    });
    if (same != rows.end()) {
      (*same)["details"]["issues"].push_back(details(check)["issues"][0]);
      continue;
    }
    rows.push_back({{"id", uuid4()},
                    {"reason_code", check.rule_code},
                    {"category", to_string(check.category)},
                    {"severity", to_string(check.severity)},
                    {"field", check.field},
                    {"line_number", check.line_number},
                    {"auto_resolvable", handling(check.category).auto_resolvable},
                    {"details", details(check)}});
  }
  return rows;
}

// The columns a correction may touch, with what makes a text fit them.
struct Column {
  std::string_view name;
  SqlValue (*value)(std::string_view);
};
constexpr std::array<Column, 9> correctable = {{
    {"vendor_name", [](std::string_view text) { return text_value(text, 200); }},
    {"invoice_number", [](std::string_view text) { return text_value(text, 100); }},
    {"invoice_date", &date_value},
    {"due_date", &date_value},
    {"currency", [](std::string_view text) { return text_value(text, 3); }},
    {"subtotal", &amount_value},
    {"tax_amount", &amount_value},
    {"total_amount", &amount_value},
    {"po_number", [](std::string_view text) { return text_value(text, 100); }},
}};

[[noreturn]] void refuse(const std::string& why) { throw invoice_error("ResolutionRefused", why); }

void correct(Database& database, const std::string& invoice_id, const std::string& field,
             const std::string& text) {
  const auto column = std::ranges::find(correctable, std::string_view(field), &Column::name);
  if (column == correctable.end()) refuse("the field '" + clean_text(field, 100) + "' cannot be corrected");
  const SqlValue value = column->value(text);
  if (!value) refuse("'" + clean_text(text, 100) + "' does not fit " + field);
  database.run("UPDATE invoices SET " + std::string(column->name) + " = $2, updated_at = now() WHERE id = $1",
               {invoice_id, value});
}

}  // namespace

void record_exceptions(Database& database, const StoredInvoice& invoice, const std::string& validation_id,
                       const std::vector<Check>& checks) {
  const Json rows = open_rows(checks);
  const std::string text = dump_json(rows);
  database.run(
      "UPDATE exceptions e SET status = 'RESOLVED', resolved_by = 'system', resolved_at = now(), updated_at "
      "= now(),"
      " resolution_notes = 'no longer found' WHERE e.invoice_id = $1 AND e.status IN ('OPEN', 'IN_PROGRESS', "
      "'ESCALATED')"
      " AND NOT EXISTS (SELECT FROM json_to_recordset($2::json) AS r (reason_code text, field text, "
      "line_number integer)"
      " WHERE r.reason_code = e.reason_code AND r.field = e.field AND r.line_number = e.line_number)",
      {invoice.id, text});
  if (rows.empty()) {
    withdraw_approval(database, exception_workflow, "invoice", invoice.id);
    return;
  }
  database.run(
      "INSERT INTO exceptions (id, invoice_id, validation_id, reason_code, category, severity, field, "
      "line_number,"
      " auto_resolvable, details_json) SELECT id, $1, $2, reason_code, category, severity, field, "
      "line_number,"
      " auto_resolvable, details FROM json_to_recordset($3::json) AS r (id uuid, reason_code text,"
      " category exceptioncategory, severity text, field text, line_number integer, auto_resolvable boolean,"
      " details jsonb) ON CONFLICT (invoice_id, reason_code, field, line_number)"
      " WHERE status IN ('OPEN', 'IN_PROGRESS', 'ESCALATED')"
      " DO UPDATE SET validation_id = excluded.validation_id, details_json = excluded.details_json, "
      "updated_at = now()",
      {invoice.id, validation_id, text});
  const bool asks = std::ranges::any_of(rows, [](const Json& row) {
    return handling(*parse_category(row["category"].get<std::string>())).needs_approval;
  });
  if (asks) {
    ask_approval(database, exception_workflow, "invoice", invoice.id,
                 "Invoice " +
                     (invoice.facts.invoice_number.empty() ? invoice.id : invoice.facts.invoice_number) +
                     " breaks a rule that needs approval",
                 {{"validation_id", validation_id}});
  } else {
    withdraw_approval(database, exception_workflow, "invoice", invoice.id);
  }
}

Json resolve_exception(Database& database, const Resolution& resolution) {
  const Rows row =
      database.run("SELECT invoice_id, category, status FROM exceptions WHERE id = $1 FOR UPDATE",
                   {resolution.exception_id});
  if (row.empty())
    throw invoice_error("ExceptionNotFound", "there is no exception " + resolution.exception_id);
  const std::string invoice_id = row.str(0, 0);
  const bool settled = row.text(0, 2) == "RESOLVED" || row.text(0, 2) == "CLOSED";
  if (!settled) {
    const auto why =
        refuse_resolution(parse_category(row.text(0, 1)).value(), resolution.action, resolution.data);
    if (!why.empty()) refuse(why);
    if (resolution.action == "DATA_CORRECTION") {
      correct(database, invoice_id, resolution.data["field"].get<std::string>(),
              resolution.data["value"].get<std::string>());
    }
    const bool escalated = resolution.action == "ESCALATE";
    database.run(
        "UPDATE exceptions SET status = $2::exceptionstatus, resolution_action = $3, resolution_data = $4, "
        "resolution_notes = "
        "$5,"
        " resolved_by = $6, resolved_at = CASE WHEN $2::exceptionstatus = 'RESOLVED' THEN now() END, "
        "updated_at = now() WHERE "
        "id = $1",
        {resolution.exception_id, escalated ? "ESCALATED" : "RESOLVED", resolution.action,
         dump_json(resolution.data), text_value(resolution.notes, 2000),
         escalated ? SqlValue() : SqlValue(clean_text(resolution.resolved_by, 255))});
  }
  const int open = std::stoi(database
                                 .run("SELECT count(*) FROM exceptions WHERE invoice_id = $1 AND status IN "
                                      "('OPEN', 'IN_PROGRESS', 'ESCALATED')",
                                      {invoice_id})
                                 .str(0, 0));
  if (open == 0 && resolution.approve_invoice && !settled) {
    database.run(
        "UPDATE invoices SET status = 'READY', workflow_state = 'approved', updated_at = now()"
        " WHERE id = $1 AND status IN ('PARSED', 'VALIDATED', 'EXCEPTION')",
        {invoice_id});
  }
  const Rows now = database.run(
      "SELECT e.status, i.status FROM exceptions e JOIN invoices i ON i.id = e.invoice_id WHERE e.id = $1",
      {resolution.exception_id});
  return {{"exception_id", resolution.exception_id},
          {"invoice_id", invoice_id},
          {"status", now.str(0, 0)},
          {"invoice_status", now.str(0, 1)},
          {"open_exceptions", open}};
}

}  // namespace celeriac
