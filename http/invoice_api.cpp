// /api/v1/invoices: documents in, what was read out.
#include "http/front.hpp"
#include "http/jobs.hpp"
#include "http/rows.hpp"

#include "protocol/time.hpp"
#include "tasks/engines/file_type.hpp"
#include "tasks/engines/form.hpp"
#include "tasks/store/audit.hpp"
#include "tasks/store/storage.hpp"
#include "tasks/store/text_values.hpp"

#include <algorithm>
#include <iterator>

namespace celeriac::http {
namespace {

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
  // The job's row and its message are one: a 202 is never lost.
  auto body = database.transaction([&] {
    return order_document(database, {stored.uri, clean_text(file->name, 255), queue, request.caller.user_id,
                                     request.header("traceparent").substr(0, 128), std::nullopt});
  });
  body["sha256"] = stored.sha256;
  const auto job = body.at("links").at("job").get<std::string>();
  return json(202, body).with("Location", job).with("Retry-After", "1");
}

// What people may correct of an invoice, and how a value of theirs becomes a column's.
struct Field {
  const char* name;
  SqlValue (*value)(std::string_view text);
};
template <std::size_t Characters>
SqlValue as_text(std::string_view text) {
  return text_value(text, Characters);
}
constexpr Field invoice_fields[] = {
    {"invoice_number", as_text<100>}, {"invoice_date", date_value},   {"due_date", date_value},
    {"vendor_name", as_text<200>},    {"vendor_tax_id", as_text<50>}, {"buyer_name", as_text<200>},
    {"account_number", as_text<100>}, {"po_number", as_text<100>},    {"currency", as_text<3>},
    {"subtotal", amount_value},       {"tax_amount", amount_value},   {"freight", amount_value},
    {"total_amount", amount_value},
};
constexpr Field line_fields[] = {
    {"item_number", as_text<100>},    {"description", as_text<2000>}, {"quantity", amount_value},
    {"unit_of_measure", as_text<50>}, {"unit_price", amount_value},   {"line_total", amount_value},
};

// Sets the members of `given` in the row of `table` that `where` names ($1, $2 in `values`).
template <std::size_t Count>
void update_row(Database& database, const std::string& table, const Field (&fields)[Count], const Json& given,
                const std::string& where, std::vector<SqlValue> values, const std::string& at,
                Faults& faults) {
  std::string sets;
  const auto faults_before = faults.list.size();
  for (const auto& [name, value] : given.items()) {
    if (name == "line_number") continue;
    const auto field =
        std::find_if(std::begin(fields), std::end(fields), [&](const Field& f) { return f.name == name; });
    if (field == std::end(fields)) {
      faults.add(at + "/" + name, "cannot be changed here");
      continue;
    }
    SqlValue stored;
    if (!value.is_null()) {
      const auto text = value.is_string() ? value.template get<std::string>() : dump_json(value);
      if (!value.is_structured()) stored = field->value(text);
      if (!stored) {
        faults.add(at + "/" + name, "does not fit");
        continue;
      }
    }
    values.push_back(std::move(stored));
    // The column's own type is deduced for a bare parameter.
    sets += (sets.empty() ? "" : ", ") + name + " = $" + std::to_string(values.size());
  }
  if (sets.empty() || faults.list.size() > faults_before) return;
  if (database.run("UPDATE " + table + " SET " + sets + where, values).affected() == 0)
    faults.add(at, "there is no such row");
}

Response invoice_document(Database& database, const Request& request) {
  return one_row(database.run("SELECT jsonb_build_object('invoice', to_jsonb(i) - 'workflow_data', "
                              "'line_items', coalesce((SELECT jsonb_agg(to_jsonb(l) ORDER BY l.line_number) "
                              "FROM invoice_line_items l WHERE l.invoice_id = i.id), '[]'), "
                              "'blob_url', i.file_url) FROM invoices i WHERE " +
                                  owned_by(request.caller, "i.uploaded_by_user_id") + " AND i.id = $2::uuid",
                              {request.caller.user_id, request.params.at("id")}),
                 "invoice");
}

struct Undo {};  // rolls a transaction back

Response update_invoice(Database& database, const Request& request) {
  const auto body = json_body(request);
  if (!body) return body.error();
  const auto invoice = body->find("invoice"), lines = body->find("line_items");
  Faults faults;
  if (invoice != body->end() && !invoice->is_object()) faults.add("/invoice", "must be an object");
  if (lines != body->end() && !lines->is_array()) faults.add("/line_items", "must be an array");
  if (invoice == body->end() && lines == body->end()) faults.add("", "must have invoice or line_items");
  if (!faults.list.empty()) return bad_body(faults);
  const auto& id = request.params.at("id");
  Response missing;
  try {
    database.transaction([&] {
      const auto mine =
          database.run("SELECT FROM invoices WHERE " + owned_by(request.caller, "uploaded_by_user_id") +
                           " AND id = $2::uuid FOR UPDATE",
                       {request.caller.user_id, id});
      missing = one_row(mine, "invoice");
      if (mine.empty()) throw Undo();
      const auto& wanted = request.header("if-match");
      if (!wanted.empty() && wanted != "*" &&
          wanted.find(entity_tag(invoice_document(database, request).body)) == wanted.npos) {
        missing = problem(412, "changed-meanwhile", "The invoice is not what If-Match says",
                          "Read it again, and repeat the correction with its new ETag.");
        throw Undo();
      }
      audit_as(database, {request.caller.user_id, "corrected over HTTP", "", "", true});
      if (invoice != body->end())
        update_row(database, "invoices", invoice_fields, *invoice, ", updated_at = now() WHERE id = $1::uuid",
                   {id}, "/invoice", faults);
      for (std::size_t i = 0; lines != body->end() && i < lines->size(); ++i) {
        const auto& line = (*lines)[i];
        const auto at = "/line_items/" + std::to_string(i);
        const auto number = line.is_object() ? line.find("line_number") : line.end();
        if (!line.is_object() || number == line.end() || !number->is_number_integer()) {
          faults.add(at + "/line_number", "must say which line it is");
          continue;
        }
        update_row(database, "invoice_line_items", line_fields, line,
                   " WHERE invoice_id = $1::uuid AND line_number = $2::int", {id, dump_json(*number)}, at,
                   faults);
      }
      if (!faults.list.empty()) throw Undo();
    });
  } catch (const Undo&) {
    return faults.list.empty() ? missing : bad_body(faults);
  }
  const auto document = invoice_document(database, request);
  auto changed = *parse_json(document.body);
  changed["success"] = true;
  return json(200, changed).with("ETag", entity_tag(document.body));
}

// Documents that are stored already: this caller's own, by what upload or an earlier batch was told.
Response process_batch(Database& database, const Request& request, const std::string& queue) {
  const auto body = json_body(request);
  if (!body) return body.error();
  const auto files = body->find("files");
  if (files == body->end() || !files->is_array() || files->empty() || files->size() > 100)
    return problem(422, "body-does-not-fit",
                   "The body is {\"files\": [{\"blob_url\"}, ...]}, 1 to 100 of them");
  Faults faults;
  Json tasks = Json::array();
  try {
    database.transaction([&] {
      for (std::size_t i = 0; i < files->size(); ++i) {
        const auto& file = (*files)[i];
        const auto text = [&](const char* name) {
          const auto found = file.is_object() ? file.find(name) : file.end();
          return file.is_object() && found != file.end() && found->is_string() ? found->get<std::string>()
                                                                               : "";
        };
        const auto url = text("blob_url");
        const auto mine = database.run("SELECT FROM processing_jobs j WHERE j.source = $2 AND " +
                                           owned_by(request.caller, "j.user_id") + " LIMIT 1",
                                       {request.caller.user_id, url});
        if (!url.starts_with("storage://") || mine.empty()) {
          faults.add("/files/" + std::to_string(i) + "/blob_url", "is no document that you uploaded");
          continue;
        }
        // After what somebody waits for.
        const auto ordered = order_document(
            database, {url, clean_text(text("filename"), 255), queue, request.caller.user_id, "", 9});
        tasks.push_back(ordered.at("task_id"));
      }
      if (!faults.list.empty()) throw Undo();
    });
  } catch (const Undo&) {
    return bad_body(faults);
  }
  const auto count = std::to_string(tasks.size());
  return json(202, Json{{"success", true}, {"task_ids", tasks}, {"message", count + " documents accepted"}});
}

// A document that made an invoice is read again as long as nobody approved what was read.
Response process_again(Database& database, const Request& request, const std::string& queue) {
  Response refusal;
  Json body;
  database.transaction([&] {
    const auto rows = database.run(
        "SELECT j.source, f.file_name, f.id FROM processing_jobs j LEFT JOIN file_storage f ON f.id = "
        "j.file_storage_id WHERE " +
            owned_by(request.caller, "j.user_id") +
            " AND j.source LIKE 'storage://%' AND j.id IN (SELECT $2::text::uuid UNION ALL SELECT id FROM "
            "processing_jobs WHERE task_id = $2::text UNION ALL SELECT p.id FROM invoices i JOIN "
            "processing_jobs p ON p.file_storage_id = i.file_storage_id WHERE i.id = $2::text::uuid) ORDER "
            "BY "
            "j.created_at DESC LIMIT 1",
        {request.caller.user_id, request.params.at("id")});
    if (rows.empty()) {
      refusal = unknown_job();
      return;
    }
    DocumentOrder order{rows.str(0, 0),
                        rows.str(0, 1),
                        queue,
                        request.caller.user_id,
                        request.header("traceparent").substr(0, 128),
                        std::nullopt,
                        {}};
    // Its row is locked: of two requests at once the second one is told of the first one's job.
    const auto made =
        database.run("SELECT status FROM invoices WHERE file_storage_id = $1 FOR UPDATE", {rows.value(0, 2)});
    if (!made.empty()) {
      const auto status = made.str(0, 0);
      if (status == "READY" || status == "STAGED" || status == "DONE") {
        refusal = problem(409, "invoice-not-editable", "The invoice was approved and is not read again",
                          "It is " + status +
                              ". Correct its fields with PUT /api/v1/invoices/{id}, or upload a "
                              "corrected document.");
        return;
      }
      order.file_id = rows.str(0, 2);
      if (auto waiting = reading_again(database, order.file_id)) {
        body = std::move(*waiting);
        return;
      }
    }
    body = order_document(database, order);
  });
  if (body.is_null()) return refusal;
  return json(202, body)
      .with("Location", body.at("links").at("job").get<std::string>())
      .with("Retry-After", "1");
}

}  // namespace

std::string Front::document_queue() const {
  const auto task = std::find_if(tasks_.begin(), tasks_.end(),
                                 [](const auto& entry) { return entry.name == process_document_task; });
  return task == tasks_.end() ? "invoice_processing" : task->queue;
}

void Front::take_document(Request request, Respond respond) {
  const auto queue = document_queue();
  const auto who = "upload." + request.caller.user_id;
  rates_.count(
      who, settings_.http_upload_rate_limit,
      [this, queue, request = std::move(request), respond = std::move(respond)](const RateVerdict& verdict) {
        if (!verdict.allowed)
          return respond(problem(429, "rate-limit", "Too many uploads")
                             .with("Retry-After", std::to_string(verdict.reset)));
        in_database([this, queue,
                     request](Database& database) { return upload(database, settings_, request, queue); },
                    [this, respond](Response response) {
                      if (response.status == 202) outbox_->wake();
                      respond(std::move(response));
                    });
      });
}

void Front::add_invoice_routes() {
  Route route;
  route.method = "POST";
  route.path = "/api/v1/invoices/upload";
  route.summary = "Upload a document (multipart/form-data, field `file`) and have it read";
  route.upload = true;
  route.handle = [this](Request request, Respond respond) {
    take_document(std::move(request), std::move(respond));
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
  add_query("GET", "/api/v1/invoices/{id}", Access::user, "An invoice with its lines", invoice_document);
  add_query("PUT", "/api/v1/invoices/{id}", Access::user,
            "Correct fields of an invoice and of its lines (by line_number)", update_invoice);
  add_order("/api/v1/invoices/{id}/process", "Read a document again, by its job, task or invoice",
            process_again);
  add_order("/api/v1/invoices/process-batch", "Read documents that were uploaded before", process_batch);
}

}  // namespace celeriac::http
