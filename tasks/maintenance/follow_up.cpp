#include "tasks/maintenance/maintenance.hpp"
#include "tasks/store/outbox.hpp"

#include <algorithm>

namespace celeriac {
namespace {

constexpr int lease_seconds = 60;
constexpr int delivery_pause_seconds = 600;  // a delivery's message may wait so long in its queue

void send_task(Context& context, const ClaimedEffect& effect) {
  SendOptions options;
  options.task_id = effect.id;
  options.queue = effect.payload.value("queue", std::string());
  context.send(effect.target, effect.payload.value("args", Json::array()),
               effect.payload.value("kwargs", Json::object()), options);
}

// False when it failed; that is kept with it.
bool carry_out(Context& context, Database& database, const ClaimedEffect& effect) {
  try {
    send_task(context, effect);
    effect_sent(database, effect.id);
    return true;
  } catch (const TaskError& error) {
    effect_failed(database, effect.id, error.what(), error.info().type == "ValueError");
    return false;
  }
}

}  // namespace

std::string send_once(Context& context, Database& database, const Effect& effect) {
  auto id = add_effect(database, effect);
  if (const auto claimed = claim_effect(database, context.hostname(), id, lease_seconds))
    carry_out(context, database, *claimed);
  return id;
}

Json relay_outbox(Context& context, Database& database, int limit) {
  int sent = 0, failed = 0;
  for (const auto& effect : claim_effects(database, context.hostname(), limit, lease_seconds)) {
    context.checkpoint();
    ++(carry_out(context, database, effect) ? sent : failed);
  }
  for (const Json& delivery : due_deliveries(database, limit, delivery_pause_seconds)) {
    SendOptions options;
    options.queue = "export";
    context.send("export.run_job", Json::array({delivery.at("job_id")}), Json::object(), options);
  }
  const std::string waiting = database.run("SELECT count(*) FROM outbox WHERE state = 'waiting'").str(0, 0);
  return {{"sent", sent}, {"failed", failed}, {"waiting", std::stoll(waiting)}};
}

Json retry_failed_exports(Context& context, Database& database) {
  const Rows failed = database.run(
      "UPDATE export_jobs SET status = 'PENDING', error_code = NULL, error_message = NULL, completed_at = "
      "NULL,"
      " retry_count = retry_count + 1, updated_at = now() WHERE status = 'FAILED' AND retry_count < "
      "max_retries"
      " AND error_code NOT IN ('InvalidExport', 'ExportJobNotFound') RETURNING id, retry_count");
  for (int row = 0; row < failed.size(); ++row) {
    SendOptions options;
    options.queue = "export";
    options.countdown = 60.0 * static_cast<double>(1 << std::min(std::stoi(failed.str(row, 1)) - 1, 6));
    context.send("export.run_job", Json::array({failed.str(row, 0)}), Json::object(), options);
  }
  return {{"retried", failed.size()}};
}

Json schedule_recurring_exports(Context& context, Database& database) {
  // The job's id is made of schedule and time, so that two schedulers make one job.
  const Rows due = database.transaction([&] {
    Rows rows = database.run(
        "SELECT id, md5(id::text || next_run_at::text)::uuid FROM export_schedules WHERE is_active AND "
        "next_run_at <= now()"
        " ORDER BY next_run_at FOR UPDATE SKIP LOCKED");
    for (int row = 0; row < rows.size(); ++row) {
      database.run(
          "INSERT INTO export_jobs (id, name, template_id, format, destination, destination_config, filters, "
          "user_id, schedule_id)"
          " SELECT $2, name, template_id, format, destination, destination_config, filters, user_id, id FROM "
          "export_schedules"
          " WHERE id = $1 ON CONFLICT (id) DO NOTHING",
          {rows.str(row, 0), rows.str(row, 1)});
      // The next time in the future: what was missed while nobody looked is run once.
      database.run(
          "UPDATE export_schedules SET last_run_at = now(), next_run_at = next_run_at + period *"
          " ceil(greatest(extract(epoch FROM now() - next_run_at), 1) / extract(epoch FROM period)) WHERE id "
          "= $1",
          {rows.str(row, 0)});
      add_effect(database, {"schedule:" + rows.str(row, 1),
                            "task",
                            "export.run_job",
                            {{"args", Json::array({rows.str(row, 1)})}, {"queue", "export"}}});
    }
    return rows;
  });
  if (due.size() > 0) relay_outbox(context, database, 100);
  return {{"scheduled", due.size()}};
}

}  // namespace celeriac
