#include "tasks/maintenance/maintenance.hpp"
#include "tasks/store/clock.hpp"

#include <filesystem>
#include <system_error>

namespace celeriac {
namespace {

constexpr double disk_warning = 10, disk_unhealthy = 5;  // per cent free

// One row of numbers under their names.
Json numbers(Database& database, std::initializer_list<const char*> names, const std::string& statement) {
  const Rows row = database.run(statement);
  Json out = Json::object();
  int column = 0;
  for (const char* name : names) {
    out[name] = row.is_null(0, column) ? Json(nullptr) : Json(std::stod(row.str(0, column)));
    ++column;
  }
  return out;
}

Json disk_space(const std::string& storage_root) {
  std::filesystem::path folder(storage_root.starts_with("file://") ? storage_root.substr(7) : storage_root);
  std::error_code error;
  while (!folder.empty() && !std::filesystem::exists(folder, error)) folder = folder.parent_path();
  const auto space = std::filesystem::space(folder.empty() ? "." : folder, error);
  if (error) return {{"status", "unhealthy"}, {"error", error.message()}};
  const double free_percent =
      100.0 * static_cast<double>(space.available) / static_cast<double>(space.capacity);
  return {{"status", free_percent < disk_unhealthy  ? "unhealthy"
                     : free_percent <= disk_warning ? "warning"
                                                    : "healthy"},
          {"free_gb", static_cast<double>(space.available) / (1 << 30)},
          {"free_percent", free_percent}};
}

}  // namespace

Json health_check(Database& database, Storage& storage, const std::string& storage_root) {
  Json checks = Json::object();
  database.run("SELECT count(*) FROM schema_migrations");
  checks["database"] = {{"status", "healthy"}};
  try {
    const std::string_view probe = "probe";
    const auto reader = read_memory(probe);
    const auto stored = storage.put_as(*reader, "temp/health-check", 16);
    if (storage.get(stored.uri, 16) != probe)
      throw StorageError(StorageFailure::io, "what was stored reads differently");
    checks["storage"] = {{"status", "healthy"}};
  } catch (const StorageError& error) {
    checks["storage"] = {{"status", "unhealthy"}, {"error", error.what()}};
  }
  if (!is_bucket(storage_root)) checks["disk_space"] = disk_space(storage_root);
  bool healthy = true;
  for (const auto& check : checks) healthy = healthy && check.at("status") != "unhealthy";
  return {
      {"status", healthy ? "healthy" : "unhealthy"}, {"timestamp", naive_now(database)}, {"checks", checks}};
}

Json generate_system_report(Database& database) {
  const std::string day = " WHERE created_at > now() - interval '1 day'";
  Json metrics = Json::object();
  metrics["invoices"] =
      numbers(database, {"total", "processed", "failed", "success_rate"},
              "SELECT count(*), count(*) FILTER (WHERE status IN ('VALIDATED', 'READY', 'STAGED', 'DONE')),"
              " count(*) FILTER (WHERE status = 'EXCEPTION'), round(100.0 * count(*) FILTER (WHERE status IN "
              "('VALIDATED', 'READY',"
              " 'STAGED', 'DONE')) / nullif(count(*), 0), 2) FROM invoices" +
                  day);
  metrics["processing"] = numbers(database, {"jobs", "failed", "average_seconds", "p95_seconds"},
                                  "SELECT count(*), count(*) FILTER (WHERE status = 'failed'), "
                                  "avg(extract(epoch FROM completed_at - started_at)),"
                                  " percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM "
                                  "completed_at - started_at)) FROM processing_jobs" +
                                      day);
  metrics["exports"] =
      numbers(database, {"jobs", "completed", "failed", "records", "megabytes"},
              "SELECT count(*), count(*) FILTER (WHERE status = 'COMPLETED'), count(*) FILTER (WHERE"
              " status = 'FAILED'), sum(processed_records), round(sum(file_size) / 1048576.0, 2)"
              " FROM export_jobs" +
                  day);
  metrics["emails"] = numbers(
      database, {"received", "processed", "blocked"},
      "SELECT count(*), count(*) FILTER (WHERE status = 'processed'),"
      " count(*) FILTER (WHERE status = 'blocked') FROM emails WHERE received_at > now() - interval '1 day'");
  metrics["dead_letters"] =
      numbers(database, {"pending"}, "SELECT count(*) FROM dead_letter_queue WHERE dlq_status = 'PENDING'");
  metrics["storage"] =
      numbers(database, {"file_count", "total_size_mb"},
              "SELECT count(*), round(coalesce(sum(file_size), 0) / 1048576.0, 2) FROM file_storage");
  return {{"generated_at", naive_now(database)}, {"period", "last_24_hours"}, {"metrics", metrics}};
}

}  // namespace celeriac
