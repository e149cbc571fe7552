#include "tasks/maintenance/maintenance.hpp"
#include "worker/errors.hpp"

#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace celeriac {
namespace {

constexpr std::uint64_t most_bytes = 1u << 20;

// A JSON document that PostgreSQL made.
Json one_document(Database& database, const char* statement, const std::vector<SqlValue>& values = {}) {
  const Rows row = database.run(statement, values);
  auto json = parse_json(row.text(0, 0));
  if (!json) throw DatabaseError(SqlFailure::data, "", json.error().what);
  return std::move(*json);
}

std::string store_state(Database& database, Storage& storage, const std::string& name, const Json& content) {
  const std::string time =
      database.run("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD_HH24MISS')").str(0, 0);
  const std::string text = dump_json(content);
  const auto reader = read_memory(text);
  return storage.put_as(*reader, name + "_" + time + ".json", most_bytes).uri;
}

Json this_host() {
  struct sysinfo info {};
  if (::sysinfo(&info) != 0) return {{"uptime", nullptr}, {"memory_usage", nullptr}, {"cpu_usage", nullptr}};
  const double load = static_cast<double>(info.loads[0]) / (1 << SI_LOAD_SHIFT);
  const double used = static_cast<double>(info.totalram - info.freeram - info.bufferram);
  return {{"uptime", info.uptime},
          {"memory_usage", 100 * used / static_cast<double>(info.totalram)},
          {"cpu_usage", 100 * load / static_cast<double>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)))}};
}

}  // namespace

Json monitor_worker_performance(Database& database) {
  Json out = one_document(
      database,
      "SELECT jsonb_build_object('timestamp', to_char(now() AT TIME ZONE 'UTC', "
      "'YYYY-MM-DD\"T\"HH24:MI:SS.US'), 'workers', (SELECT jsonb_build_object("
      "'active_tasks', count(*) FILTER (WHERE status = 'running'),"
      " 'scheduled_tasks', count(*) FILTER (WHERE status = 'pending' AND attempts > 0),"
      " 'reserved_tasks', count(*) FILTER (WHERE status = 'pending' AND attempts = 0),"
      " 'worker_count', count(DISTINCT worker) FILTER (WHERE updated_at > now() - interval '1 hour'),"
      " 'total_tasks_processed', count(*) FILTER (WHERE status IN ('completed', 'failed')))"
      " FROM processing_jobs), 'queues', jsonb_build_object("
      "'invoice_processing', (SELECT count(*) FROM processing_jobs WHERE status = 'pending'),"
      " 'validation', (SELECT count(*) FROM invoices WHERE status = 'PARSED'),"
      " 'export', (SELECT count(*) FROM export_jobs WHERE status = 'PENDING'),"
      " 'email_processing', (SELECT count(*) FROM emails WHERE status = 'received')))");
  out["system"] = this_host();
  return out;
}

Json backup_system_state(Database& database, Storage& storage) {
  const Json state = one_document(
      database,
      "SELECT jsonb_build_object('created_at', to_char(now() AT TIME ZONE 'UTC', "
      "'YYYY-MM-DD\"T\"HH24:MI:SS.US'),"
      " 'migrations', (SELECT jsonb_agg(to_jsonb(m) ORDER BY m.version) FROM schema_migrations m),"
      " 'rows', (SELECT jsonb_object_agg(relname, n_live_tup) FROM pg_stat_user_tables),"
      " 'invoices', (SELECT coalesce(jsonb_object_agg(status, n), '{}') FROM (SELECT status, count(*) AS n "
      "FROM "
      "invoices GROUP BY 1) i),"
      " 'jobs', (SELECT coalesce(jsonb_object_agg(status, n), '{}') FROM (SELECT status, count(*) AS n FROM "
      "processing_jobs GROUP BY 1) j))");
  const std::string path = store_state(database, storage, "backups/system_state", state);
  return {{"status", "success"},
          {"backup_path", path},
          {"files", Json::array({path.substr(path.find_last_of('/') + 1)})},
          {"created_at", state.at("created_at")}};
}

Json generate_export_report(Database& database, Storage& storage, const std::string& report_type) {
  const std::string period = report_type == "daily"     ? "1 day"
                             : report_type == "weekly"  ? "7 days"
                             : report_type == "monthly" ? "1 month"
                                                        : "";
  if (period.empty())
    throw TaskError("ValueError", "there is no report '" + report_type + "'; daily, weekly, monthly");
  Json report = one_document(
      database,
      "SELECT jsonb_build_object('report_type', $1::text, 'period_start', now() - $2::interval, "
      "'total_jobs', "
      "count(*), 'completed_jobs', count(*) FILTER (WHERE status = 'COMPLETED'), 'failed_jobs', count(*) "
      "FILTER (WHERE status = 'FAILED'), 'success_rate', round(100.0 * count(*) FILTER (WHERE status = "
      "'COMPLETED') / nullif(count(*), 0), 2), 'total_records', coalesce(sum(processed_records), 0), "
      "'megabytes', round(coalesce(sum(file_size), 0) / 1048576.0, 2), 'by_format', (SELECT "
      "coalesce(jsonb_object_agg(format, n), '{}') FROM (SELECT format, count(*) AS n FROM export_jobs WHERE "
      "created_at > now() - $2::interval GROUP BY 1) f)) FROM export_jobs WHERE created_at > now() - "
      "$2::interval",
      {report_type, period});
  report["file_path"] = store_state(database, storage, "reports/export_report_" + report_type, report);
  return report;
}

}  // namespace celeriac
