#include "tasks/invoice_processing/job_row.hpp"

#include "protocol/uuid.hpp"
#include "tasks/store/text_values.hpp"

namespace celeriac {
namespace {

constexpr std::size_t max_message = 2000;  // characters

std::string start_statement(std::string_view conflict_key) {
  return "INSERT INTO processing_jobs AS job (id, task_id, source, worker, user_id, status, current_stage,"
         " attempts, started_at) VALUES ($1, $2, $3, $4, ensure_user($5), 'running', 'receive', 1, now())"
         " ON CONFLICT (" +
         std::string(conflict_key) +
         ") DO UPDATE SET status = 'running', task_id = excluded.task_id, source = excluded.source,"
         " worker = excluded.worker, current_stage = 'receive', progress = 0, started_at = now(),"
         " updated_at = now(), completed_at = NULL, error_code = NULL, error_message = NULL,"
         " attempts = job.attempts + 1, lost_runs = job.lost_runs + (job.status = 'running')::int"
         " WHERE job.status <> 'completed' RETURNING id, lost_runs";
}

}  // namespace

JobRow::JobRow(Database& database, const JobStart& start) : database_(database) {
  // What a run that was killed could not say is said by the next one, of whatever document.
  database_.run(
      "UPDATE processing_jobs SET status = 'failed', error_code = 'WorkerLostError', error_message = 'the "
      "process vanished',"
      " completed_at = now(), updated_at = now() WHERE status = 'running' AND updated_at < now() - interval "
      "'5 minutes'"
      " AND task_id IS DISTINCT FROM $1",
      {clean_text(start.task_id, 255)});
  const SqlValue user = start.user_id.empty() ? SqlValue() : SqlValue(start.user_id);
  const bool named = !start.job_id.empty();
  const Rows started =
      database_.run(start_statement(named ? "id" : "task_id"),
                    {named ? start.job_id : uuid4(), clean_text(start.task_id, 255),
                     clean_text(start.source, max_message), clean_text(start.worker, 255), user});
  if (!started.empty()) {
    id_ = started.str(0, 0);
    lost_runs_ = std::stoi(started.str(0, 1));
    return;
  }
  const Rows done = database_.run("SELECT id, result_data::text FROM processing_jobs WHERE " +
                                      std::string(named ? "id = $1::uuid" : "task_id = $1"),
                                  {named ? start.job_id : clean_text(start.task_id, 255)});
  if (done.empty()) throw DatabaseError(SqlFailure::operational, "", "the job's row vanished");
  completed_ = true;
  id_ = done.str(0, 0);
  const auto result = parse_json(done.text(0, 1));
  if (!result)
    throw DatabaseError(SqlFailure::data, "", "processing_jobs.result_data: " + result.error().what);
  result_ = *result;
}

void JobRow::stage(std::string_view name, int percent) {
  const auto now = Clock::now();
  const bool entered = name != stage_;
  if (!entered && now - written_ < std::chrono::milliseconds(250)) return;
  if (entered) {
    timings_[stage_] = std::chrono::duration_cast<std::chrono::milliseconds>(now - stage_began_).count();
    stage_ = std::string(name);
    stage_began_ = now;
  }
  written_ = now;
  database_.run(
      "UPDATE processing_jobs SET current_stage = $2, progress = $3, updated_at = now()"
      " WHERE id = $1 AND status = 'running'",
      {id_, stage_, std::to_string(percent)});
}

std::string JobRow::timings() {
  timings_[stage_] =
      std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - stage_began_).count();
  return dump_json(timings_);
}

void JobRow::complete(const std::string& file_id, const Json& result, const std::string& confidence) {
  database_.run(
      "UPDATE processing_jobs SET status = 'completed', progress = 100, current_stage = 'completed',"
      " file_storage_id = $2, result_data = $3, confidence_score = $4, timings = $5, updated_at = now(),"
      " completed_at = now(), error_code = NULL, error_message = NULL WHERE id = $1",
      {id_, file_id, dump_json(result), confidence, timings()});
}

void JobRow::fail(std::string_view code, std::string_view message) {
  database_.run(
      "UPDATE processing_jobs SET status = 'failed', error_code = $2, error_message = $3, timings = $4,"
      " updated_at = now(), completed_at = now() WHERE id = $1 AND status <> 'completed'",
      {id_, clean_text(code, 100), clean_text(message, max_message), timings()});
}

void JobRow::wait_for_retry(std::string_view message) {
  database_.run(
      "UPDATE processing_jobs SET status = 'pending', error_message = $2, timings = $3, updated_at = now()"
      " WHERE id = $1 AND status = 'running'",
      {id_, clean_text(message, max_message), timings()});
}

}  // namespace celeriac
