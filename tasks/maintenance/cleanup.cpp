#include "tasks/maintenance/maintenance.hpp"
#include "tasks/store/clock.hpp"
#include "tasks/store/storage.hpp"
#include "tasks/validation/approvals.hpp"

#include <chrono>
#include <utility>

namespace celeriac {
namespace {

// Silent for so long means gone: twice the hard limit of any task of ours and the lease of its worker.
constexpr const char* lost_after = "interval '5 minutes'";
constexpr const char* export_lost_after = "interval '2 hours'";

}  // namespace

Json cleanup_old_exports(Database& database, Storage& storage, int days_to_keep) {
  const std::string cutoff =
      database.run("SELECT now() - make_interval(days => $1)", {std::to_string(days_to_keep)}).str(0, 0);
  int files = 0, records = 0;
  // The file first: a row without its file is found again, a file without its row is not.
  const std::pair<const char*, const char*> tables[] = {
      {"SELECT id, storage_url FROM staged_exports WHERE created_at < $1::timestamptz ORDER BY created_at "
       "LIMIT 10000",
       "DELETE FROM staged_exports WHERE id = $1"},
      {"SELECT id, file_path FROM export_jobs WHERE completed_at < $1::timestamptz ORDER BY completed_at "
       "LIMIT 10000",
       "DELETE FROM export_jobs WHERE id = $1"}};
  for (const auto& [find, erase] : tables) {
    const Rows old = database.run(find, {cutoff});
    for (int row = 0; row < old.size(); ++row) {
      if (!old.is_null(row, 1) && storage.remove(old.text(row, 1))) ++files;
      records += database.run(erase, {old.str(row, 0)}).affected();
    }
  }
  return {{"status", "success"},
          {"cutoff_date", cutoff},
          {"deleted_files", files},
          {"deleted_records", records},
          {"cleaned_at", naive_now(database)}};
}

Json cleanup_failed_tasks(Database& database, int days_to_keep) {
  const std::string days = std::to_string(days_to_keep);
  const std::pair<const char*, const char*> statements[] = {
      {"idempotency_records",
       "DELETE FROM idempotency_records WHERE expires_at < now() - make_interval(days => $1)"},
      {"outbox", "DELETE FROM outbox WHERE state = 'sent' AND sent_at < now() - make_interval(days => $1)"},
      {"dead_letter_queue",
       "DELETE FROM dead_letter_queue WHERE dlq_status IN ('COMPLETED', 'ARCHIVED') AND resolved_at < now() -"
       " make_interval(days => $1)"},
      {"user_sessions", "DELETE FROM user_sessions WHERE expires_at < now() - make_interval(days => $1)"},
      {"signed_urls", "DELETE FROM signed_urls WHERE expires_at < now() - make_interval(days => $1)"},
      {"llm_cache", "DELETE FROM llm_cache WHERE expires_at < now() - make_interval(days => $1)"}};
  Json by_table = Json::object();
  int total = 0;
  for (const auto& [table, statement] : statements) {
    const int deleted = database.run(statement, {days}).affected();
    by_table[table] = deleted;
    total += deleted;
  }
  return {{"status", "success"},
          {"cleaned_keys", total},
          {"by_table", by_table},
          {"cleaned_at", naive_now(database)}};
}

Json cleanup_temp_files(Database& database, Storage& storage, int hours_to_keep) {
  const int swept = storage.sweep(std::chrono::hours(hours_to_keep));
  return {{"status", "success"}, {"deleted_files", swept}, {"cleaned_at", naive_now(database)}};
}

Json mend(Database& database) {
  return database.transaction([&] {
    const int jobs =
        database
            .run(std::string(
                     "UPDATE processing_jobs SET status = 'failed', error_code = 'WorkerLostError',"
                     " error_message = 'the process vanished', completed_at = now(), updated_at = now()"
                     " WHERE status = 'running' AND updated_at < now() - ") +
                 lost_after)
            .affected();
    const int exports =
        database
            .run(std::string(
                     "UPDATE export_jobs SET status = 'FAILED', error_code = 'WorkerLostError',"
                     " error_message = 'the process vanished', completed_at = now(), updated_at = now()"
                     " WHERE status = 'PROCESSING' AND updated_at < now() - ") +
                 export_lost_after)
            .affected();
    return Json{
        {"lost_jobs", jobs}, {"lost_exports", exports}, {"expired_approvals", expire_approvals(database)}};
  });
}

}  // namespace celeriac
