// What beat calls: cleaning up, mending what a crash left, reports. Each may run at any time, twice, or on
// several workers at once; each answers what it did.
#pragma once

#include "protocol/json.hpp"
#include "tasks/store/database.hpp"
#include "tasks/store/outbox.hpp"
#include "tasks/store/storage.hpp"
#include "worker/context.hpp"

#include <string>

namespace celeriac {

// Files and rows of exports older than that. {"status", "cutoff_date", "deleted_files", "deleted_records",
// "cleaned_at"}.
Json cleanup_old_exports(Database& database, Storage& storage, int days_to_keep);
// Rows that only say that something is over: expired keys, sent effects, closed dead letters, expired
// sessions and links. {"status", "cleaned_keys", "by_table", "cleaned_at"}.
Json cleanup_failed_tasks(Database& database, int days_to_keep);
// What killed processes left in the storage: temporary files, unfinished uploads. {"status", "deleted_files",
// "cleaned_at"}.
Json cleanup_temp_files(Database& database, Storage& storage, int hours_to_keep);

// Jobs whose process vanished without a word are marked failed, approvals past their time expired, stale
// exports made due again. {"lost_jobs", "lost_exports", "expired_approvals"}.
Json mend(Database& database);

// Sends the task that `effect` names, once for its key however often this is called, and answers the task's
// id. One that cannot be sent now is left to relay_outbox.
std::string send_once(Context& context, Database& database, const Effect& effect);

// Carries out effects that are due. {"sent", "failed", "waiting"}.
Json relay_outbox(Context& context, Database& database, int limit);

// Failed export jobs with tries left go back to the queue, each a little later than the last time.
// {"retried"}.
Json retry_failed_exports(Context& context, Database& database);
// Due export_schedules become jobs. {"scheduled"}.
Json schedule_recurring_exports(Context& context, Database& database);

// {"status": "healthy" | "unhealthy", "timestamp", "checks": {"database", "storage", "disk_space"}}.
Json health_check(Database& database, Storage& storage, const std::string& storage_root);
// {"generated_at", "period", "metrics": {"invoices", "processing", "exports", "emails", "dead_letters",
// "storage"}}.
Json generate_system_report(Database& database);
// Work as the tables tell it, and this host. {"timestamp", "workers": {"active_tasks", "scheduled_tasks",
// "reserved_tasks", "worker_count", "total_tasks_processed"}, "queues": {...}, "system": {"uptime",
// "memory_usage", "cpu_usage"}}: jobs that run, wait, and wait for their first run; workers with a job
// in the last hour; jobs that ended; seconds, per cent, and the load per core in per cent.
Json monitor_worker_performance(Database& database);
// Schema, numbers of rows and what is under way, as a document backups/system_state_<time>.json. It is no
// backup of the data: that is the database's own. {"status", "backup_path", "files", "created_at"}.
Json backup_system_state(Database& database, Storage& storage);
// Exports of the last day, week or month, stored as reports/export_report_<type>_<time>.json. {"report_type",
// "period_start", "total_jobs", "completed_jobs", "failed_jobs", "success_rate", "total_records",
// "megabytes", "by_format", "file_path"}.
Json generate_export_report(Database& database, Storage& storage, const std::string& report_type);

}  // namespace celeriac
