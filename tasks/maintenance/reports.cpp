#include "tasks/maintenance/reports.hpp"

#include "protocol/uuid.hpp"
#include "tasks/store/slot_database.hpp"
#include "tasks/store/text_values.hpp"

namespace celeriac {
namespace {

constexpr std::uint64_t most_report_bytes = 64u << 20;

// Made by PostgreSQL: amounts are exact, and texts there.
constexpr const char* week_statement =
    "SELECT json_build_object('week_start', $1::date, 'week_end', $1::date + 6, 'invoices', (SELECT "
    "json_build_object("
    "'received', count(*), 'by_status', (SELECT coalesce(json_object_agg(status, n), '{}') FROM (SELECT "
    "status, count(*) "
    "AS n FROM invoices WHERE created_at >= $1::date AND created_at < $1::date + 7 GROUP BY 1) s)) FROM "
    "invoices WHERE "
    "created_at >= $1::date AND created_at < $1::date + 7), 'amounts', (SELECT "
    "coalesce(json_object_agg(currency, t), "
    "'{}') FROM (SELECT currency, sum(total_amount)::text AS t FROM invoices WHERE currency IS NOT NULL AND "
    "created_at >= "
    "$1::date AND created_at < $1::date + 7 GROUP BY 1) a), 'exceptions', (SELECT "
    "json_build_object('opened', count(*) "
    "FILTER (WHERE created_at >= $1::date AND created_at < $1::date + 7), 'resolved', count(*) FILTER (WHERE "
    "resolved_at "
    ">= $1::date AND resolved_at < $1::date + 7), 'open', count(*) FILTER (WHERE resolved_at IS NULL)) FROM "
    "exceptions), "
    "'approvals_waiting', (SELECT count(*) FROM approval_requests WHERE status IN ('PENDING', 'IN_REVIEW')), "
    "'exports', "
    "(SELECT json_build_object('jobs', count(*), 'failed', count(*) FILTER (WHERE status = 'FAILED'), "
    "'records', "
    "coalesce(sum(processed_records), 0)) FROM export_jobs WHERE created_at >= $1::date AND created_at < "
    "$1::date + 7), "
    "'dead_letters', (SELECT count(*) FROM dead_letter_queue WHERE created_at >= $1::date AND created_at < "
    "$1::date + 7))";

// $1, $2: the first and the last day of invoice dates, or null.
constexpr const char* financial_statement =
    "SELECT json_build_object('report_type', 'financial', 'rows', coalesce(json_agg(r), '[]')) FROM (SELECT "
    "to_char(invoice_date, 'YYYY-MM') AS month, currency, payment_status, count(*) AS invoices, "
    "sum(subtotal)::text AS "
    "subtotal, sum(tax_amount)::text AS tax_amount, sum(total_amount)::text AS total_amount FROM invoices "
    "WHERE "
    "duplicate_of IS NULL AND ($1::date IS NULL OR invoice_date >= $1) AND ($2::date IS NULL OR invoice_date "
    "<= $2) GROUP "
    "BY 1, 2, 3 ORDER BY 1, 2, 3) r";
constexpr const char* sales_statement =
    "SELECT json_build_object('report_type', 'sales', 'rows', coalesce(json_agg(r), '[]')) FROM (SELECT "
    "buyer_name, "
    "currency, count(*) AS invoices, sum(total_amount)::text AS total_amount FROM invoices WHERE "
    "duplicate_of IS NULL AND "
    "($1::date IS NULL OR invoice_date >= $1) AND ($2::date IS NULL OR invoice_date <= $2) GROUP BY 1, 2 "
    "ORDER BY 1, 2) r";
constexpr const char* custom_statement =
    "SELECT json_build_object('report_type', 'custom', 'rows', coalesce(json_agg(r), '[]')) FROM (SELECT "
    "vendor_name, "
    "status, currency, count(*) AS invoices, sum(total_amount)::text AS total_amount FROM invoices WHERE "
    "duplicate_of IS "
    "NULL AND ($1::date IS NULL OR invoice_date >= $1) AND ($2::date IS NULL OR invoice_date <= $2) GROUP BY "
    "1, 2, 3 ORDER "
    "BY 1, 2, 3) r";

std::string monday(Database& database, const std::string& text) {
  if (text.empty())
    return database.run("SELECT date_trunc('week', now() - interval '7 days')::date").str(0, 0);
  const SqlValue day = date_value(std::string_view(text).substr(0, 10));
  if (!day) throw BadArguments("the week's first day must be a date: yyyy-mm-dd");
  return database.run("SELECT date_trunc('week', $1::date)::date", {day}).str(0, 0);
}

std::string store(Storage& storage, const std::string& key, const std::string& document) {
  const auto reader = read_memory(document);
  return storage.put_as(*reader, key, most_report_bytes).uri;
}

}  // namespace

Json generate_weekly_report(Database& database, Storage& storage, const std::string& week_start,
                            const std::string& generated_by) {
  const std::string week = monday(database, week_start);
  const std::string document = database.run(week_statement, {week}).str(0, 0);
  const std::string path = store(storage, "reports/weekly_" + week + ".json", document);
  const std::string id = database
                             .run(
                                 "INSERT INTO weekly_reports (id, week_start, content, file_path, "
                                 "generated_by) VALUES ($1, $2, $3, $4, $5) "
                                 "ON CONFLICT (week_start) DO UPDATE SET content = excluded.content, "
                                 "file_path = excluded.file_path, "
                                 "generated_by = excluded.generated_by, updated_at = now() RETURNING id",
                                 {uuid4(), week, document, path, text_value(generated_by, 255)})
                             .str(0, 0);
  return {{"report_id", id},
          {"status", "completed"},
          {"week_start", week},
          {"message", "the report is in the storage"},
          {"file_path", path}};
}

std::string weekly_report_document(Database& database, const std::string& week_start) {
  const Rows row = database.run("SELECT content FROM weekly_reports WHERE week_start = $1", {week_start});
  if (row.empty()) throw invoice_error("ReportNotFound", "there is no report of the week " + week_start);
  return row.str(0, 0);
}

Json cost_analysis(Database& database, const std::string& from, const std::string& to) {
  const std::string first = monday(database, from);
  const SqlValue last = to.empty() ? SqlValue() : date_value(std::string_view(to).substr(0, 10));
  if (!to.empty() && !last) throw BadArguments("the last day must be a date: yyyy-mm-dd");
  const Rows row = database.run(
      "WITH used AS (SELECT * FROM llm_usage WHERE created_at >= $1::date AND created_at < "
      "coalesce($2::date, $1::date + "
      "6) + 1) SELECT json_build_object('week_start', $1::date, 'week_end', coalesce($2::date, $1::date + "
      "6), 'total_cost', "
      "(SELECT coalesce(sum(cost), 0)::text FROM used), 'calls', (SELECT count(*) FROM used), "
      "'cost_per_invoice', (SELECT "
      "(sum(cost) / nullif(count(DISTINCT invoice_id), 0))::text FROM used WHERE invoice_id IS NOT NULL), "
      "'by_model', "
      "(SELECT coalesce(json_object_agg(model, c), '{}') FROM (SELECT model, sum(cost)::text AS c FROM used "
      "GROUP BY 1) m), "
      "'by_operation', (SELECT coalesce(json_object_agg(operation, c), '{}') FROM (SELECT operation, "
      "sum(cost)::text AS c "
      "FROM used GROUP BY 1) o))",
      {first, last});
  auto out = parse_json(row.text(0, 0));
  if (!out) throw DatabaseError(SqlFailure::data, "", "llm_usage: " + out.error().what);
  return std::move(*out);
}

Json generate_report(Database& database, Storage& storage, const std::string& report_id) {
  if (!is_uuid(report_id)) throw BadArguments("generate_report: report_id is not a UUID");
  const Rows row = database.run(
      "SELECT report_type, coalesce(parameters->>'date_from', ''), coalesce(parameters->>'date_to', '') FROM "
      "reports WHERE "
      "id = $1",
      {report_id});
  if (row.empty()) throw invoice_error("ReportNotFound", "there is no report " + report_id);
  const std::string type = row.str(0, 0);
  const char* statement = type == "financial" ? financial_statement
                          : type == "sales"   ? sales_statement
                                              : custom_statement;
  const std::string document =
      database.run(statement, {date_value(row.text(0, 1)), date_value(row.text(0, 2))}).str(0, 0);
  const std::string path = store(storage, "reports/" + type + "_" + report_id + ".json", document);
  database.run(
      "UPDATE reports SET status = 'completed', file_path = $2, completed_at = now(), error_message = NULL "
      "WHERE "
      "id = $1",
      {report_id, path});
  return {{"status", "completed"}, {"report_id", report_id}, {"file_path", path}};
}

Json cleanup_old_reports(Database& database, Storage& storage, int days) {
  if (days < 0 || days > 100000) throw BadArguments("cleanup_old_reports: days is out of range");
  // One moment for all: a row must not go without its file.
  const SqlValue moment =
      database.run("SELECT now() - make_interval(days => $1)", {std::to_string(days)}).str(0, 0);
  const Rows old = database.run(
      "SELECT file_path FROM reports WHERE created_at < $1::timestamptz AND file_path IS NOT NULL UNION ALL "
      "SELECT file_path FROM weekly_reports WHERE updated_at < $1::timestamptz",
      {moment});
  for (int i = 0; i < old.size(); ++i) storage.remove(old.str(i, 0));
  const int ordered =
      database.run("DELETE FROM reports WHERE created_at < $1::timestamptz", {moment}).affected();
  const int weekly =
      database.run("DELETE FROM weekly_reports WHERE updated_at < $1::timestamptz", {moment}).affected();
  return {{"status", "success"}, {"deleted_count", ordered + weekly}};
}

}  // namespace celeriac
