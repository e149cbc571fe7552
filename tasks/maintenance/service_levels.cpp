#include "tasks/maintenance/service_levels.hpp"

#include "protocol/uuid.hpp"
#include "tasks/store/clock.hpp"
#include "worker/errors.hpp"

#include <array>
#include <string_view>

namespace celeriac {
namespace {

// `sql` counts the good ones and all of those that came to an end between $1 and $2. Whether a duplicate was
// missed nobody can tell from what was found, so their recall is not measured.
struct Indicator {
  std::string_view name, description, target, sql;
};
constexpr std::array<Indicator, 6> indicators = {{
    {"time_to_ready", "invoices that were judged within 5 minutes", "95",
     "SELECT count(*) FILTER (WHERE v.first <= i.created_at + interval '5 minutes'), count(*) FROM invoices "
     "i LEFT JOIN "
     "LATERAL (SELECT min(created_at) AS first FROM validations WHERE invoice_id = i.id) v ON true WHERE "
     "i.created_at >= "
     "$1::timestamptz AND i.created_at < $2::timestamptz"},
    {"validation_pass_rate", "verdicts that passed", "90",
     "SELECT count(*) FILTER (WHERE passed), count(*) FROM validations WHERE created_at >= $1::timestamptz "
     "AND created_at "
     "< $2::timestamptz"},
    {"approval_latency", "approvals decided within 2 hours", "90",
     "SELECT count(*) FILTER (WHERE completed_at <= created_at + interval '2 hours' AND status <> "
     "'EXPIRED'), count(*) FROM "
     "approval_requests WHERE completed_at >= $1::timestamptz AND completed_at < $2::timestamptz AND status "
     "<> 'CANCELLED'"},
    {"processing_success_rate", "documents that were read", "95",
     "SELECT count(*) FILTER (WHERE status = 'completed'), count(*) FROM processing_jobs WHERE completed_at "
     ">= "
     "$1::timestamptz AND completed_at < $2::timestamptz"},
    {"extraction_accuracy", "fields that nobody had to correct", "92",
     "SELECT coalesce(sum(n - fixed), 0), coalesce(sum(n), 0) FROM (SELECT num_nonnulls(invoice_number, "
     "invoice_date, "
     "due_date, vendor_name, vendor_tax_id, buyer_name, po_number, currency, subtotal, tax_amount, "
     "total_amount) AS n, "
     "least(cardinality(corrected_fields), num_nonnulls(invoice_number, invoice_date, due_date, vendor_name, "
     "vendor_tax_id, buyer_name, po_number, currency, subtotal, tax_amount, total_amount)) AS fixed FROM "
     "invoices WHERE "
     "status <> 'RECEIVED' AND created_at >= $1::timestamptz AND created_at < $2::timestamptz) read"},
    {"exception_resolution_time", "exceptions resolved within 4 hours", "85",
     "SELECT count(*) FILTER (WHERE resolved_at <= created_at + interval '4 hours'), count(*) FROM "
     "exceptions WHERE "
     "resolved_at >= $1::timestamptz AND resolved_at < $2::timestamptz"},
}};

}  // namespace

Json initialize_default_slos(Database& database) {
  int created = 0;
  for (const auto& indicator : indicators)
    created += database
                   .run(
                       "INSERT INTO slo_definitions (id, name, description, target) VALUES ($1, $2, $3, $4) "
                       "ON CONFLICT "
                       "(name) DO NOTHING",
                       {uuid4(), std::string(indicator.name), std::string(indicator.description),
                        std::string(indicator.target)})
                   .affected();
  const int total = std::stoi(database.run("SELECT count(*) FROM slo_definitions").str(0, 0));
  return {{"success", true}, {"slos_created", created}, {"total_slos", total}};
}

Json calculate_sli_measurements(Database& database, const std::string& period, int hours_back, bool force) {
  if (period != "hourly" && period != "daily" && period != "weekly")
    throw BadArguments("calculate_sli_measurements: period is hourly, daily or weekly");
  if (hours_back < 1 || hours_back > 24 * 366)
    throw BadArguments("calculate_sli_measurements: hours_back is out of range");
  initialize_default_slos(database);
  return database.transaction([&]() -> Json {
    const Rows span = database.run(
        "SELECT date_trunc('hour', now()) - make_interval(hours => $1), date_trunc('hour', now())",
        {std::to_string(hours_back)});
    const std::string from = span.str(0, 0), to = span.str(0, 1);
    int measured = 0, alerts = 0;
    for (const auto& indicator : indicators) {
      const Rows counted = database.run(std::string(indicator.sql), {from, to});
      if (counted.str(0, 1) == "0") continue;
      const Rows row = database.run(
          "INSERT INTO sli_measurements (id, slo_id, period, period_start, period_end, good, total) SELECT "
          "$1, id, $3, "
          "$4, $5, $6, $7 FROM slo_definitions WHERE name = $2 AND is_active ON CONFLICT (slo_id, period, "
          "period_start, "
          "period_end) DO UPDATE SET good = excluded.good, total = excluded.total, measured_at = now() WHERE "
          "$8 RETURNING "
          "id",
          {uuid4(), std::string(indicator.name), period, from, to, counted.str(0, 0), counted.str(0, 1),
           force ? "true" : "false"});
      if (row.empty()) continue;
      ++measured;
      // How many times faster than allowed the errors come.
      alerts +=
          database
              .run(
                  "INSERT INTO slo_alerts (id, slo_id, measurement_id, severity, burn_rate, message) SELECT "
                  "gen_random_uuid(), s.id, m.id, CASE WHEN b.rate >= s.burn_critical THEN 'critical' ELSE "
                  "'warning' END, b.rate, s.name || ': ' || m.value || ' % of ' || m.total || ', promised "
                  "are ' || "
                  "s.target || ' %' FROM sli_measurements m JOIN slo_definitions s ON s.id = m.slo_id CROSS "
                  "JOIN "
                  "LATERAL (SELECT round((100 - m.value) / (100 - s.target), 2) AS rate) b WHERE m.id = $1 "
                  "AND "
                  "b.rate >= s.burn_warning ON CONFLICT (measurement_id) DO NOTHING",
                  {row.str(0, 0)})
              .affected();
    }
    return {{"success", true},
            {"period", period},
            {"period_start", from},
            {"period_end", to},
            {"measurements_created", measured},
            {"alerts_created", alerts},
            {"calculated_at", naive_now(database)}};
  });
}

Json cleanup_old_metrics(Database& database, int retention_days, bool dry_run) {
  if (retention_days < 0 || retention_days > 100000)
    throw BadArguments("cleanup_old_metrics: retention_days is out of range");
  return database.transaction([&]() -> Json {
    const std::string days = std::to_string(retention_days);
    const std::string old = " < now() - make_interval(days => $1)";
    const Rows counts =
        database.run("SELECT (SELECT count(*) FROM slo_alerts WHERE created_at" + old +
                         "), (SELECT count(*) FROM sli_measurements WHERE period_end" + old + ")",
                     {days});
    if (!dry_run) {
      database.run("DELETE FROM slo_alerts WHERE created_at" + old, {days});
      database.run("DELETE FROM sli_measurements WHERE period_end" + old, {days});
    }
    return {{"sli_measurements", std::stoll(counts.str(0, 1))},
            {"slo_alerts", std::stoll(counts.str(0, 0))},
            {"invoice_metrics", 0},
            {"dry_run", dry_run}};
  });
}

Json generate_slo_report(Database& database, const std::string& report_type, int days) {
  if (days < 1 || days > 366) throw BadArguments("generate_slo_report: days is out of range");
  const std::string span = std::to_string(days);
  const Rows rows = database.run(
      "SELECT s.name, s.target, round(100.0 * sum(m.good) / sum(m.total), 2), count(m.id), (SELECT count(*) "
      "FROM "
      "slo_alerts a WHERE a.slo_id = s.id AND a.created_at > now() - make_interval(days => $1)) FROM "
      "slo_definitions s "
      "LEFT JOIN sli_measurements m ON m.slo_id = s.id AND m.period_end > now() - make_interval(days => $1) "
      "WHERE "
      "s.is_active GROUP BY s.id, s.name, s.target ORDER BY s.name",
      {span});
  Json slos = Json::array();
  int alerts = 0;
  for (int i = 0; i < rows.size(); ++i) {
    const double target = std::stod(rows.str(i, 1));
    const bool known = !rows.is_null(i, 2);
    const double value = known ? std::stod(rows.str(i, 2)) : 0;
    alerts += std::stoi(rows.str(i, 4));
    slos.push_back({{"name", rows.str(i, 0)},
                    {"target", target},
                    {"value", known ? Json(value) : Json(nullptr)},
                    {"met", known ? Json(value >= target) : Json(nullptr)},
                    {"measurements", std::stoi(rows.str(i, 3))}});
  }
  const Rows times = database.run("SELECT now() - make_interval(days => $1), now()", {span});
  return {{"success", true},
          {"report_type", report_type},
          {"period_start", times.str(0, 0)},
          {"period_end", times.str(0, 1)},
          {"slos", slos},
          {"alerts", alerts},
          {"email_sent", false},
          {"generated_at", naive_now(database)}};
}

}  // namespace celeriac
