// /api/v1/exports: jobs that write invoices to files.
#include "http/front.hpp"
#include "http/rows.hpp"
#include "protocol/uuid.hpp"
#include "tasks/export/export_job.hpp"
#include "worker/errors.hpp"

#include <algorithm>
#include <chrono>

namespace celeriac::http {
namespace {

constexpr const char* run_task = "export.run_job";
constexpr std::uint64_t most_bytes = 64u << 20;  // of a file that goes through this process
constexpr std::chrono::seconds link_valid{300};

Response create_job(Database& database, const Request& request, const std::string& queue) {
  const auto body = json_body(request);
  if (!body) return body.error();
  if (!body->is_object()) return problem(422, "body-does-not-fit", "The body must be an object");
  ExportOrder order;
  order.id = uuid4();
  order.user_id = request.caller.user_id;
  Faults faults;
  for (const auto& [name, value] : body->items()) {
    std::string* text = name == "format"     ? &order.format
                        : name == "template" ? &order.template_name
                        : name == "name"     ? &order.name
                                             : nullptr;
    if (text && value.is_string())
      *text = value.get<std::string>();
    else if (name == "filters" && value.is_object())
      order.filters = value;
    else
      faults.add("/" + name, text || name == "filters" ? "does not fit" : "is not known here");
  }
  if (!faults.list.empty()) return bad_body(faults);
  Submission submission;
  submission.id = uuid4();
  submission.task = run_task;
  submission.queue = queue;
  submission.user_id = order.user_id;
  submission.args = Json::array({order.id});
  try {
    create_export_job(database, order);  // a transaction of its own: nobody was told of a job without a task
    enqueue(database, submission);
  } catch (const TaskError& error) {
    return problem(422, "body-does-not-fit", error.what());
  }
  const auto self = "/api/v1/exports/jobs/" + order.id;
  return json(202, Json{{"job_id", order.id},
                        {"task_id", submission.id},
                        {"status", "PENDING"},
                        {"links", Json{{"self", self}, {"download", self + "/download"}}}})
      .with("Location", self)
      .with("Retry-After", "1");
}

Response download(Database& database, const Settings& settings, const Request& request) {
  const auto rows = database.run(
      "SELECT file_path, coalesce(file_name, 'export'), format FROM export_jobs WHERE id = $1 AND status = "
      "'COMPLETED'",
      {request.params.at("id")});
  if (rows.empty() || rows.is_null(0, 0))
    return problem(404, "unknown-id", "There is no finished export of this id");
  Response response;
  try {
    const auto storage = make_storage(settings.storage_root);
    // A bucket behind TLS is there for others too: it serves the file itself, of whatever size.
    if (settings.storage_root.starts_with("s3+https://")) {
      response.status = 307;
      return response.with("Location", storage->signed_url(rows.text(0, 0), link_valid))
          .with("Cache-Control", "no-store");
    }
    response.body = storage->get(rows.text(0, 0), most_bytes);
  } catch (const StorageError& error) {
    if (error.kind == StorageFailure::not_found)
      return problem(410, "gone", "The file is not kept any more", "Order the export again.");
    return problem(503, "no-file", "The file cannot be read", error.what()).with("Retry-After", "5");
  }
  response.content_type = "application/octet-stream";
  auto name = rows.str(0, 1);
  std::erase_if(name, [](unsigned char c) { return c < 0x20 || c >= 0x7f || c == '"' || c == '\\'; });
  response.with("Content-Disposition", "attachment; filename=\"" + name + "\"");
  return response;
}

}  // namespace

void Front::add_export_routes() {
  router_.add({"POST", "/api/v1/exports/jobs", Access::admin,
               "Write invoices to a file: {format, template, name, filters}",
               [this](Request request, Respond respond) {
                 const auto task = std::find_if(tasks_.begin(), tasks_.end(),
                                                [](const auto& entry) { return entry.name == run_task; });
                 const std::string queue = task == tasks_.end() ? "export" : task->queue;
                 in_database([queue, request = std::move(request)](
                                 Database& database) { return create_job(database, request, queue); },
                             [this, respond = std::move(respond)](Response response) {
                               if (response.status == 202) outbox_->wake();
                               respond(std::move(response));
                             });
               }});
  add_query(
      "GET", "/api/v1/exports/jobs", Access::admin, "Export jobs, the newest hundred",
      [](Database& database, const Request&) {
        return as_it_is(database
                            .run("SELECT jsonb_build_object('jobs', coalesce(jsonb_agg(to_jsonb(j) ORDER BY "
                                 "j.created_at DESC), '[]')) FROM (SELECT * FROM export_jobs ORDER BY "
                                 "created_at DESC LIMIT 100) j")
                            .str(0, 0));
      });
  add_query("GET", "/api/v1/exports/jobs/{id}", Access::admin, "An export job and its progress",
            [](Database& database, const Request& request) {
              return one_row(database.run("SELECT to_jsonb(j) FROM export_jobs j WHERE id = $1",
                                          {request.params.at("id")}),
                             "export job");
            });
  add_query(
      "GET", "/api/v1/exports/jobs/{id}/download", Access::admin, "The file of a finished export",
      [this](Database& database, const Request& request) { return download(database, settings_, request); });
}

}  // namespace celeriac::http
