// /api/v1/invoices: documents in, what was read out.
#include "http/front.hpp"
#include "http/rows.hpp"

#include "protocol/time.hpp"
#include "protocol/uuid.hpp"
#include "tasks/engines/file_type.hpp"
#include "tasks/engines/form.hpp"
#include "tasks/store/storage.hpp"
#include "tasks/store/text_values.hpp"

#include <algorithm>
#include <charconv>

namespace celeriac::http {
namespace {

constexpr const char* process_task = "invoice_processing.process_document";

// A file of a form, whose first bytes tell its type before it is read.
class FormReader final : public Reader {
 public:
  explicit FormReader(std::function<std::ptrdiff_t(std::span<char>)> source) : source_(std::move(source)) {
    first_.resize(4096);
    first_.resize(from_source(first_));
  }
  std::string_view first() const { return first_; }
  std::size_t read(std::span<char> buffer) override {
    if (given_ == first_.size()) return from_source(buffer);
    const auto count = std::min(buffer.size(), first_.size() - given_);
    std::copy_n(first_.data() + given_, count, buffer.data());
    given_ += count;
    return count;
  }

 private:
  std::size_t from_source(std::span<char> buffer) {
    const auto count = source_(buffer);
    if (count < 0) throw StorageError(StorageFailure::io, "the upload cannot be read");
    return static_cast<std::size_t>(count);
  }
  std::function<std::ptrdiff_t(std::span<char>)> source_;
  std::string first_;
  std::size_t given_ = 0;
};

Response upload(Database& database, const Settings& settings, const Request& request,
                const std::string& queue) {
  auto file = read_form(request.body_file, request.header("content-type"), "file");
  if (!file) return problem(422, "no-file", "The upload cannot be read", file.error().what);
  FormReader content(file->read);
  if (content.first().empty()) return problem(422, "no-file", "The file is empty");
  const auto type = detect_file_type(content.first());
  if (type != FileType::pdf && type != FileType::jpeg && type != FileType::png && type != FileType::tiff)
    return problem(415, "unsupported-type", "Only PDF, JPEG, PNG and TIFF documents are taken",
                   "The content looks like " + std::string(mime_type(type)) + ".");
  StoredObject stored;
  try {
    const auto extension = type == FileType::pdf    ? ".pdf"
                           : type == FileType::jpeg ? ".jpg"
                           : type == FileType::png  ? ".png"
                                                    : ".tif";
    stored = make_storage(settings.storage_root)
                 ->put(content, extension, static_cast<std::uint64_t>(settings.http_max_upload));
  } catch (const StorageError& error) {
    if (error.kind == StorageFailure::too_large)
      return problem(413, "too-large", "The document is too large",
                     "At most " + std::to_string(settings.http_max_upload) + " bytes are taken.");
    return problem(507, "no-space", "The document cannot be stored", error.what());
  }
  Submission submission;
  submission.id = uuid4();
  submission.task = process_task;
  submission.queue = queue;
  submission.user_id = request.caller.user_id;
  submission.traceparent = request.header("traceparent").substr(0, 128);
  const auto job = uuid4();
  submission.args = Json::array({stored.uri});
  submission.kwargs = Json{{"options", Json{{"job_id", job},
                                            {"file_name", clean_text(file->name, 255)},
                                            {"user_id", request.caller.user_id},
                                            {"upload_source", "http"}}}};
  // The job's row and its message are one: a 202 is never lost.
  database.transaction([&] {
    database.run("SELECT ensure_user($1::uuid)", {request.caller.user_id});
    database.run("INSERT INTO processing_jobs (id, user_id, task_id, source) VALUES ($1, $2, $3, $4)",
                 {job, request.caller.user_id, submission.id, stored.uri});
    enqueue(database, submission);
  });
  Json body = Json{{"job_id", job},
                   {"task_id", submission.id},
                   {"status", "pending"},
                   {"websocket_room", "task_" + submission.id},
                   {"sha256", stored.sha256},
                   {"links", Json{{"status", "/api/v1/invoices/" + job + "/status"},
                                  {"job", "/api/v1/jobs/my-jobs/" + job}}}};
  return json(202, body).with("Location", "/api/v1/jobs/my-jobs/" + job).with("Retry-After", "1");
}

}  // namespace

void Front::add_invoice_routes() {
  Route route;
  route.method = "POST";
  route.path = "/api/v1/invoices/upload";
  route.summary = "Upload a document (multipart/form-data, field `file`) and have it read";
  route.upload = true;
  route.handle = [this](Request request, Respond respond) {
    const auto task = std::find_if(tasks_.begin(), tasks_.end(),
                                   [](const auto& entry) { return entry.name == process_task; });
    const std::string queue = task == tasks_.end() ? "invoice_processing" : task->queue;
    const auto verdict = upload_limit_.count(request.caller.user_id, unix_now());
    if (!verdict.allowed)
      return respond(
          problem(429, "rate-limit", "Too many uploads").with("Retry-After", std::to_string(verdict.reset)));
    in_database([this, queue, request = std::move(request)](
                    Database& database) { return upload(database, settings_, request, queue); },
                [this, respond = std::move(respond)](Response response) {
                  if (response.status == 202) relay();
                  respond(std::move(response));
                });
  };
  router_.add(std::move(route));

  add_query(
      "GET", "/api/v1/invoices", Access::user, "Invoices, the newest first",
      [](Database& database, const Request& request) {
        auto query = request.query_values();
        const int page = number(query, "page", 1, 1000000), per_page = number(query, "per_page", 20, 100);
        const auto rows = database.run(
            "WITH chosen AS (SELECT i.* FROM invoices i WHERE " +
                owned_by(request.caller, "i.uploaded_by_user_id") +
                " AND ($2 = '' OR i.status::text = upper($2)) ORDER BY i.created_at DESC LIMIT $3::int "
                "OFFSET $4::bigint) "
                "SELECT jsonb_build_object('invoices', coalesce(jsonb_agg(to_jsonb(c) - 'workflow_data' "
                "ORDER BY c.created_at DESC), '[]'), "
                "'pagination', jsonb_build_object('page', $5::int, 'per_page', $3::int)) FROM chosen c",
            {request.caller.user_id, query["status"], std::to_string(per_page),
             std::to_string(static_cast<long>(page - 1) * per_page), std::to_string(page)});
        return as_it_is(rows.str(0, 0));
      });
  add_query(
      "GET", "/api/v1/invoices/{id}", Access::user, "An invoice with its lines",
      [](Database& database, const Request& request) {
        return one_row(
            database.run("SELECT jsonb_build_object('invoice', to_jsonb(i) - 'workflow_data', "
                         "'line_items', coalesce((SELECT "
                         "jsonb_agg(to_jsonb(l) ORDER BY l.line_number) FROM invoice_line_items l WHERE "
                         "l.invoice_id = i.id), '[]'), "
                         "'blob_url', i.file_url) FROM invoices i WHERE " +
                             owned_by(request.caller, "i.uploaded_by_user_id") + " AND i.id = $2::uuid",
                         {request.caller.user_id, request.params.at("id")}),
            "invoice");
      });
}

}  // namespace celeriac::http
