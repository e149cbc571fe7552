#include "tasks/maintenance/register.hpp"

#include "tasks/maintenance/maintenance.hpp"
#include "tasks/store/slot_database.hpp"

#include <functional>
#include <optional>
#include <utility>

namespace celeriac {
namespace {

// A run that fails is not tried for long: the next one of the schedule does its work.
TaskOptions maintenance_options() {
  TaskOptions options;
  options.queue = "celery";
  options.acks_late = true;
  options.max_retries = 2;
  options.autoretry_for = {"OperationalError", "StorageUnavailable"};
  options.retry_backoff = 60;
  options.retry_backoff_max = 600;
  options.soft_time_limit = 600;
  options.time_limit = 660;
  return options;
}

using Work = std::function<Json(Context&, Database&, Storage&, int)>;

// A task of one number, or of none.
void add(App& app, const MaintenanceConfig& config, const std::string& name, const char* parameter,
         int fallback, Work work) {
  auto run = [config, work = std::move(work), name](Context& context, int number) {
    if (number < 0 || number > 100000) throw BadArguments(name + ": the number is out of range");
    try {
      const auto storage = make_storage(config.storage_root);
      return work(context, slot_database(config.database_url), *storage, number);
    } catch (const DatabaseError& error) {
      throw task_error(error);
    } catch (const StorageError& error) {
      throw invoice_error("StorageUnavailable", error.what());
    }
  };
  TaskOptions options = maintenance_options();
  if (!parameter)
    return app.task(
        name, [run](Context& context) { return run(context, 0); }, std::move(options));
  options.params = {parameter};
  options.defaults = {{parameter, fallback}};
  app.task(name, run, std::move(options));
}

}  // namespace

void register_maintenance(App& app, const MaintenanceConfig& config) {
  const auto cleanup_exports = [](Context&, Database& db, Storage& storage, int days) {
    return cleanup_old_exports(db, storage, days);
  };
  const auto cleanup_failed = [](Context&, Database& db, Storage&, int days) {
    return cleanup_failed_tasks(db, days);
  };
  const auto cleanup_temp = [](Context&, Database& db, Storage& storage, int hours) {
    return cleanup_temp_files(db, storage, hours);
  };
  const auto health = [root = config.storage_root](Context&, Database& db, Storage& storage, int) {
    return health_check(db, storage, root);
  };
  const auto report = [](Context&, Database& db, Storage&, int) { return generate_system_report(db); };
  const auto monitor = [](Context&, Database& db, Storage&, int) { return monitor_worker_performance(db); };
  const auto backup = [](Context&, Database& db, Storage& storage, int) {
    return backup_system_state(db, storage);
  };
  const auto retry = [](Context& context, Database& db, Storage&, int) {
    return retry_failed_exports(context, db);
  };
  const auto schedule = [](Context& context, Database& db, Storage&, int) {
    return schedule_recurring_exports(context, db);
  };

  // Ours, and the names under which an existing beat calls the same.
  for (const std::string prefix : {"maintenance.", "app.workers.maintenance_tasks."}) {
    add(app, config, prefix + "cleanup_old_exports", "days_to_keep", 7, cleanup_exports);
    add(app, config, prefix + "cleanup_failed_tasks", "days_to_keep", 3, cleanup_failed);
    add(app, config, prefix + "cleanup_temp_files", "hours_to_keep", 24, cleanup_temp);
    add(app, config, prefix + "health_check", nullptr, 0, health);
    add(app, config, prefix + "generate_system_report", nullptr, 0, report);
    add(app, config, prefix + "monitor_worker_performance", nullptr, 0, monitor);
    add(app, config, prefix + "backup_system_state", nullptr, 0, backup);
  }
  add(app, config, "app.workers.export_tasks.cleanup_old_exports", "days_to_keep", 30, cleanup_exports);
  for (const std::string prefix : {"maintenance.", "app.workers.export_tasks."}) {
    add(app, config, prefix + "retry_failed_exports", nullptr, 0, retry);
    add(app, config, prefix + "schedule_recurring_exports", nullptr, 0, schedule);
  }
  add(app, config, "maintenance.mend", nullptr, 0,
      [](Context&, Database& db, Storage&, int) { return mend(db); });
  add(app, config, "maintenance.relay_outbox", "limit", 100,
      [mail = config.mail](Context& context, Database& db, Storage&, int limit) {
        Json result = relay_outbox(context, db, limit);
        const MailsSent mails = send_report_mails(context, db, mail, limit);
        result["sent"] = result["sent"].get<int>() + static_cast<int>(mails.ids.size());
        result["failed"] = result["failed"].get<int>() + mails.failed;
        return result;
      });
}

}  // namespace celeriac
