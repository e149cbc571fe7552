// /api/v1/jobs: the caller's jobs; /api/v1/invoices/{id}/status.
#include "http/front.hpp"
#include "http/jobs.hpp"
#include "http/rows.hpp"
#include "http/submissions.hpp"
#include "protocol/uuid.hpp"

namespace celeriac::http {
namespace {

// Of a job as its owner sees it.
constexpr const char* job_json =
    "jsonb_build_object('job_id', j.id, 'task_id', j.task_id, 'status', j.status, 'progress', j.progress, "
    "'current_stage', j.current_stage, 'file_name', f.file_name, 'error_code', j.error_code, "
    "'error_message', j.error_message, 'invoice_id', j.result_data->>'invoice_id', 'created_at', "
    "j.created_at, "
    "'started_at', j.started_at, 'completed_at', j.completed_at, 'viewed', j.viewed_at IS NOT NULL)";
constexpr const char* job_tables =
    " FROM processing_jobs j LEFT JOIN file_storage f ON f.id = j.file_storage_id ";

Response my_jobs(Database& database, const Caller& caller, std::map<std::string, std::string> query) {
  const int page = number(query, "page", 1, 1000000), per_page = number(query, "per_page", 50, 100);
  const auto status = query["status"];
  if (!status.empty() && status != "pending" && status != "running" && status != "completed" &&
      status != "failed")
    return problem(422, "bad-status", "status is one of pending, running, completed, failed");
  const auto mine = owned_by(caller, "j.user_id");
  const auto rows = database.run(
      "WITH mine AS (SELECT j.id, j.status, j.created_at, j.viewed_at FROM processing_jobs j WHERE " + mine +
          "), chosen AS (SELECT " + std::string(job_json) + " AS doc, j.created_at" + job_tables + "WHERE " +
          mine +
          " AND ($2 = '' OR j.status::text = $2) ORDER BY j.created_at DESC LIMIT $3::int OFFSET "
          "$4::bigint), "
          "total AS (SELECT count(*) AS n FROM mine WHERE $2 = '' OR status::text = $2) "
          "SELECT jsonb_build_object('jobs', coalesce((SELECT jsonb_agg(doc ORDER BY created_at DESC) FROM "
          "chosen), '[]'), "
          "'statistics', jsonb_build_object('total_jobs', (SELECT count(*) FROM mine), "
          "'recent_jobs_24h', (SELECT count(*) FROM mine WHERE created_at > now() - interval '1 day'), "
          "'unread_completed', (SELECT count(*) FROM mine WHERE viewed_at IS NULL AND status IN "
          "('completed', 'failed')), "
          "'status_breakdown', coalesce((SELECT jsonb_object_agg(status, n) FROM (SELECT status, count(*) AS "
          "n FROM mine "
          "GROUP BY status) s), '{}')), "
          "'pagination', jsonb_build_object('page', $5::int, 'per_page', $3::int, 'total', (SELECT n FROM "
          "total), "
          "'pages', ((SELECT n FROM total) + $3::int - 1) / $3::int))",
      {caller.user_id, status, std::to_string(per_page),
       std::to_string(static_cast<long>(page - 1) * per_page), std::to_string(page)});
  return as_it_is(rows.str(0, 0));
}

constexpr std::string_view again_type = "invoice_reading_again";  // processing_jobs.job_type

// What the caller of an order is told.
Json accepted(const std::string& job, const std::string& task_id) {
  return Json{{"job_id", job},
              {"task_id", task_id},
              {"status", "pending"},
              {"websocket_room", "task_" + task_id},
              {"links", Json{{"status", "/api/v1/invoices/" + job + "/status"},
                             {"events", "/api/v1/invoices/" + job + "/events"},
                             {"job", "/api/v1/jobs/my-jobs/" + job}}}};
}

}  // namespace

std::optional<Json> job_state(Database& database, const Caller& caller, const std::string& id) {
  const auto rows =
      database.run("SELECT " + std::string(job_json) + job_tables + "WHERE " + owned_by(caller, "j.user_id") +
                       " AND j.id IN (SELECT $2::text::uuid UNION ALL SELECT id FROM processing_jobs WHERE "
                       "task_id = $2::text UNION ALL SELECT p.id FROM invoices i JOIN processing_jobs p ON "
                       "p.file_storage_id = i.file_storage_id WHERE i.id = $2::text::uuid) "
                       "ORDER BY j.created_at DESC LIMIT 1",
                   {caller.user_id, id});
  if (rows.empty()) return std::nullopt;
  auto state = parse_json(rows.text(0, 0));
  if (!state) throw DatabaseError(SqlFailure::data, "", "processing_jobs: " + state.error().what);
  return std::move(*state);
}

std::map<std::string, Json> job_states(Database& database, const std::vector<std::string>& ids) {
  std::string array = "{";  // UUIDs: nothing in them needs quotes
  for (const auto& id : ids) array += (array.size() > 1 ? "," : "") + id;
  const auto rows = database.run(
      "SELECT j.id, " + std::string(job_json) + job_tables + "WHERE j.id = ANY($1::uuid[])", {array + "}"});
  std::map<std::string, Json> out;
  for (int i = 0; i < rows.size(); ++i) {
    auto state = parse_json(rows.text(i, 1));
    if (!state) throw DatabaseError(SqlFailure::data, "", "processing_jobs: " + state.error().what);
    out.emplace(rows.str(i, 0), std::move(*state));
  }
  return out;
}

bool is_over(const Json& job_state) {
  const auto& status = job_state.at("status");
  return status == "completed" || status == "failed";
}

Json order_document(Database& database, const DocumentOrder& order) {
  Submission submission;
  submission.id = uuid4();
  submission.task = process_document_task;
  submission.queue = order.queue;
  submission.user_id = order.user_id;
  submission.traceparent = order.traceparent;
  submission.priority = order.priority;
  const auto job = uuid4();
  submission.args = Json::array({order.source});
  const bool again = !order.file_id.empty();
  Json options = {
      {"job_id", job}, {"file_name", order.file_name}, {"user_id", order.user_id}, {"upload_source", "http"}};
  if (again) options["again"] = true;
  submission.kwargs = Json{{"options", options}};
  database.run("SELECT ensure_user($1::uuid)", {order.user_id});
  database.run(
      "INSERT INTO processing_jobs (id, user_id, task_id, source, job_type, file_storage_id) VALUES "
      "($1, $2, $3, $4, $5, $6)",
      {job, order.user_id, submission.id, order.source,
       again ? std::string(again_type) : "invoice_extraction", again ? SqlValue(order.file_id) : SqlValue()});
  enqueue(database, submission);
  return accepted(job, submission.id);
}

std::optional<Json> reading_again(Database& database, const std::string& file_id) {
  const auto rows = database.run(
      "SELECT id, task_id FROM processing_jobs WHERE file_storage_id = $1 AND job_type = $2 AND status IN "
      "('pending', 'running') ORDER BY created_at DESC LIMIT 1",
      {file_id, std::string(again_type)});
  if (rows.empty()) return std::nullopt;
  return accepted(rows.str(0, 0), rows.str(0, 1));
}

Response unknown_job() { return problem(404, "unknown-id", "There is no such job"); }

void Front::add_job_routes() {
  add_query("GET", "/api/v1/invoices/{id}/status", Access::user, "How far a document is, by its job or task",
            [](Database& database, const Request& request) {
              const auto state = job_state(database, request.caller, request.params.at("id"));
              return state ? json(200, *state) : unknown_job();
            });
  add_query("GET", "/api/v1/jobs/my-jobs", Access::user, "The caller's jobs with statistics",
            [](Database& database, const Request& request) {
              return my_jobs(database, request.caller, request.query_values());
            });
  add_query("GET", "/api/v1/jobs/my-jobs/unread-count", Access::user, "Finished jobs not yet looked at",
            [](Database& database, const Request& request) {
              return as_it_is(
                  database
                      .run("SELECT jsonb_build_object('unread_count', count(*)) FROM processing_jobs WHERE "
                           "user_id = $1::uuid AND viewed_at IS NULL AND status IN ('completed', 'failed')",
                           {request.caller.user_id})
                      .str(0, 0));
            });
  add_query(
      "POST", "/api/v1/jobs/my-jobs/mark-as-read", Access::user,
      "Mark one job ({\"job_id\"}) or all as looked at", [](Database& database, const Request& request) {
        std::string job;
        if (!request.body.empty()) {
          auto body = parse_json(request.body, {4096, 4});
          if (!body || !body->is_object()) return problem(400, "not-json", "The body is no JSON object");
          const auto found = body->find("job_id");
          if (found != body->end() && found->is_string()) job = found->get<std::string>();
          if ((found != body->end() && !found->is_string()) || (!job.empty() && !is_uuid(job)))
            return problem(422, "body-does-not-fit", "job_id is a UUID");
        }
        const auto rows = database.run(
            "UPDATE processing_jobs SET viewed_at = now() WHERE user_id = $1::uuid AND viewed_at IS NULL AND "
            "status IN ('completed', 'failed') AND ($2 = '' OR id::text = lower($2))",
            {request.caller.user_id, job});
        return json(200, Json{{"success", true}, {"count", rows.affected()}});
      });
  add_query(
      "GET", "/api/v1/jobs/my-jobs/{id}", Access::user, "A job with its file and result",
      [](Database& database, const Request& request) {
        return one_row(
            database.run(
                "SELECT jsonb_build_object('job', " + std::string(job_json) +
                    " || jsonb_build_object('result', j.result_data, 'timings', j.timings, 'attempts', "
                    "j.attempts), 'file_info', CASE WHEN f.id IS NOT NULL THEN jsonb_build_object("
                    "'file_name', f.file_name, 'file_size', f.file_size, 'mime_type', f.mime_type, "
                    "'sha256', f.file_hash) END, 'logs', "
                    "(SELECT jsonb_agg(l ORDER BY l.at NULLS LAST) FROM (VALUES "
                    "('accepted', j.created_at, NULL::text), ('started', j.started_at, 'by ' || j.worker), "
                    "(j.status::text, j.completed_at, j.error_message)) AS l (event, at, message) "
                    "WHERE l.at IS NOT NULL))" +
                    job_tables + "WHERE " + owned_by(request.caller, "j.user_id") + " AND j.id = $2::uuid",
                {request.caller.user_id, request.params.at("id")}),
            "job");
      });
}

}  // namespace celeriac::http
