// Give a document to the invoice application, and watch it being read.
#include "http/front.hpp"
#include "http/jobs.hpp"
#include "http/pages/forms.hpp"
#include "http/pages/html.hpp"
#include "http/rows.hpp"
#include "protocol/time.hpp"

namespace celeriac::http {
namespace {

std::string upload_form(const Request& request) {
  return "<form method=post enctype=\"multipart/form-data\" action=\"/upload?form=" + request.form_token +
         "\"><label>Document (PDF, JPEG, PNG or TIFF)<input type=file name=file required "
         "accept=\".pdf,.jpg,.jpeg,.png,.tif,.tiff\"></label><button class=primary>Upload</button></form>\n";
}

std::string text_of(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// As dashboard.js writes it.
std::string stage_text(const Json& job, const std::string& status, const std::string& progress) {
  const auto stage = text_of(job, "current_stage");
  return status + (stage.empty() || stage == status ? "" : ", " + stage) + ", " + progress + " %";
}

std::string moment_html(const Json& job, const char* name) {
  const auto time = parse_iso8601(text_of(job, name));
  return time ? time_html(*time) + " UTC" : escaped(text_of(job, name));
}

std::string job_html(const Json& job, const std::string& id) {
  const auto status = text_of(job, "status");
  const bool over = status == "completed" || status == "failed";
  const auto progress = job.value("progress", Json(0)).dump();
  std::string out = "<div" + (over ? std::string() : " data-events=\"/documents/" + id + "/events\"") +
                    "><p>" + state_html(status) + "</p><p><progress max=100 value=" + progress +
                    " aria-label=Progress></progress><br><span id=stage aria-live=polite>" +
                    escaped(stage_text(job, status, progress)) + "</span></p></div><dl>";
  const auto item = [&](const char* name, const std::string& html) {
    if (!html.empty()) out += "<dt>" + std::string(name) + "</dt><dd>" + html + "</dd>";
  };
  item("File", escaped(text_of(job, "file_name")));
  item("Task", task_link(text_of(job, "task_id")));
  item("Accepted", moment_html(job, "created_at"));
  item("Ended", moment_html(job, "completed_at"));
  item("Error",
       text_of(job, "error_message").empty()
           ? ""
           : "<pre>" + escaped(text_of(job, "error_code") + ": " + text_of(job, "error_message")) + "</pre>");
  item("Invoice",
       text_of(job, "invoice_id").empty() ? "" : "<code>" + escaped(text_of(job, "invoice_id")) + "</code>");
  return out + "</dl><p><a class=button href=\"/upload\">Upload another</a></p>\n";
}

std::string jobs_html(Database& database, const Caller& caller) {
  const auto rows = database.run(
      "SELECT j.id, j.status, coalesce(f.file_name, '?'), j.current_stage, j.progress, extract(epoch FROM "
      "j.created_at) FROM "
      "processing_jobs j LEFT JOIN file_storage f ON f.id = j.file_storage_id WHERE " +
          owned_by(caller, "j.user_id") + " ORDER BY j.created_at DESC LIMIT 20",
      {caller.user_id});
  HtmlTable table("Documents, the newest first", {"Accepted (UTC)", "File", "State", "Stage", "%", "Job"},
                  {4});
  for (int i = 0; i < rows.size(); ++i)
    table.row({time_html(std::stod(rows.str(i, 5))), escaped(rows.text(i, 2)), state_html(rows.str(i, 1)),
               escaped(rows.text(i, 3)), escaped(rows.text(i, 4)),
               "<a href=\"/documents/" + rows.str(i, 0) + "\"><code>" + rows.str(i, 0) + "</code></a>"});
  return table.text("None yet.");
}

Response no_document() {
  auto page = html_page({"Document", "/upload", warning_html("There is no such document.")});
  page.status = 404;
  return page;
}

}  // namespace

void Front::add_upload_pages() {
  add_page("/upload", Access::user, "Upload a document",
           [this](const Request& request, const Respond& respond) {
             in_database(
                 [request](Database& database) {
                   return html_page(
                       {"Upload", "/upload", upload_form(request) + jobs_html(database, request.caller)});
                 },
                 respond);
           });
  Route route;
  route.method = "POST";
  route.path = "/upload";
  route.summary = "Of the upload page";
  route.upload = route.page = true;
  route.handle = [this](const Request& request, const Respond& respond) {
    take_document(request, [request, respond](const Response& answer) {
      const auto body = parse_json(answer.body, {65536, 16});
      if (answer.status == 202 && body)
        return respond(see_other("/documents/" + body->at("job_id").get<std::string>()));
      const auto title = body ? text_of(*body, "title") : "The upload failed",
                 detail = body ? text_of(*body, "detail") : "";
      auto page = html_page(
          {"Upload", "/upload",
           warning_html(title + (detail.empty() ? "." : ": " + detail)) + upload_form(request), true});
      page.status = answer.status;
      respond(std::move(page));
    });
  };
  router_.add(std::move(route));
  add_page("/documents/{id}", Access::user, "How far a document is",
           [this](const Request& request, const Respond& respond) {
             const auto id = request.params.at("id");
             if (!is_uuid(id)) return respond(no_document());
             in_database(
                 [caller = request.caller, id](Database& database) {
                   const auto job = job_state(database, caller, id);
                   if (!job) return no_document();
                   const auto status = text_of(*job, "status");
                   Page page{"Document", "/upload", job_html(*job, id)};
                   if (status != "completed" && status != "failed") page.again = 2;
                   return html_page(page);
                 },
                 respond);
           });
  add_page("/documents/{id}/events", Access::user, "The same, as server-sent events",
           [this](const Request& request, const Respond& respond) { follow_document(request, respond); });
}

}  // namespace celeriac::http
