// Search of runs, and one task: what became of it, again, and not at all.
#include "http/front.hpp"
#include "http/pages/forms.hpp"
#include "http/pages/html.hpp"
#include "http/pages/rows.hpp"
#include "http/task_state.hpp"
#include "protocol/result.hpp"
#include "protocol/time.hpp"

#include <charconv>

namespace celeriac::http {
namespace {

constexpr std::int32_t page_rows = 50, most_children = 50;

std::string field(const char* name, const char* label, const std::string& value, const char* type = "text") {
  return "<label>" + std::string(label) + "<input type=" + type + " name=" + name + " value=\"" +
         escaped(value) + "\"></label>";
}

std::string search_form(const LedgerQuery& query, const std::string& since) {
  std::string out = "<form method=get action=\"/tasks\" role=search>" +
                    field("words", "Words", query.words, "search") + field("task", "Task", query.task) +
                    field("queue", "Queue", query.queue) + field("worker", "Worker", query.worker) +
                    field("since", "Ended after (UTC)", since, "datetime-local") +
                    "<label>State<select name=state><option value=\"\">any</option>";
  for (const char* state : {"SUCCESS", "FAILURE", "RETRY", "REVOKED", "IGNORED", "REJECTED", "LOST"})
    out += "<option" + std::string(query.state == state ? " selected" : "") + ">" + state + "</option>";
  return out + "</select></label><button class=primary>Search</button></form>\n";
}

std::string older_link(const LedgerQuery& query, const std::string& since, std::int64_t before) {
  std::string link = "/tasks?before=" + std::to_string(before);
  for (const auto& [name, value] :
       {std::pair{"words", &query.words}, std::pair{"task", &query.task}, std::pair{"queue", &query.queue},
        std::pair{"worker", &query.worker}, std::pair{"state", &query.state}, std::pair{"since", &since}})
    if (!value->empty()) link += "&" + std::string(name) + "=" + url_encoded(*value);
  return "<p><a rel=next href=\"" + escaped(link) + "\">Older</a></p>";
}

std::string related_html(const LedgerRow& row) {
  std::string out;
  for (const auto& [name, id] : {std::pair{"Root", row.root_id}, std::pair{"Parent", row.parent_id}})
    if (!id.empty() && id != row.task_id)
      out += "<dt>" + std::string(name) + "</dt><dd>" + task_link(id) + "</dd>";
  return out.empty() ? out : "<dl>" + out + "</dl>";
}

std::string acts_html(const Request& request, const std::string& id, bool recorded, bool ended) {
  const auto path = "/tasks/" + url_encoded(id);
  std::string out = "<div class=acts>";
  if (recorded)
    out += button_form(request, path + "/retry", {}, ended ? "Run again" : "Send once more", "primary");
  out +=
      button_form(request, path + "/cancel", {}, "Cancel") +
      button_form(request, path + "/cancel", {{"terminate", "yes"}}, "Cancel, also when it runs", "danger");
  return out + "</div>\n";
}

std::string done_html(const std::string& done) {
  if (done == "retried")
    return notice_html("It was sent again, under the same id. Its new run is shown when it has ended.");
  if (done == "cancelled") return notice_html("All workers were told not to run it.");
  return "";
}

}  // namespace

void Front::show_task(const Request& request, const Respond& respond, const std::string& note,
                      unsigned status) {
  const auto id = request.params.at("name");
  LedgerQuery query;
  query.task_id = id;
  const bool taken = database_->run<Known>(
      [id](Database& database) { return known_task(database, id); },
      [this, request, respond, query, id, note, status](const Known& known, const DatabaseError*) {
        with_runs(query, [this, request, respond, id, note, status,
                          known](const Expected<std::vector<LedgerRow>>& rows) {
          const bool recorded = rows && !rows->empty();
          std::string body = note;
          if (!rows) body += warning_html(rows.error().what);
          if (recorded)
            body += "<p>" + escaped(rows->front().task) + " " + state_html(rows->front().state) + "</p>" +
                    related_html(rows->front());
          if (!recorded && !known.found) {
            auto page =
                html_page({id, "/tasks",
                           body + warning_html("No run of this task is recorded, and it was not sent here.") +
                               acts_html(request, id, false, false)});
            page.status = 404;
            return respond(std::move(page));
          }
          if (!recorded)
            body += "<p>" + escaped(known.task) + " for queue " + queue_link(known.queue) + ", sent " +
                    escaped(known.created) + ". " +
                    (known.sent ? "It waits for a worker, or runs."
                                : "It waits to be sent" +
                                      (known.last_error.empty() ? "." : ": " + escaped(known.last_error))) +
                    "</p>";
          body += acts_html(request, id, recorded, recorded && is_ready(rows->front().state));
          if (recorded) body += history_html(*rows);
          LedgerQuery children;
          children.parent_id = id;
          children.limit = most_children;
          with_runs(children, [respond, id, body, status](const Expected<std::vector<LedgerRow>>& found) {
            const bool some = found && !found->empty();
            auto page = html_page({id, "/tasks", body + (some ? runs_html("Children", *found, "") : "")});
            page.status = status;
            respond(std::move(page));
          });
        });
      });
  if (!taken) respond(problem(503, "busy", "Too many requests are under way").with("Retry-After", "1"));
}

void Front::add_task_pages() {
  add_page("/tasks", Access::admin, "Search runs", [this](const Request& request, const Respond& respond) {
    auto values = request.query_values();
    LedgerQuery query;
    query.words = values["words"];
    query.task = values["task"];
    query.queue = values["queue"];
    query.worker = values["worker"];
    query.state = values["state"];
    const auto since = values["since"];
    std::string wrong;
    if (!since.empty()) {
      const auto time = parse_iso8601(since);
      if (time)
        query.since = *time;
      else
        wrong = warning_html("Ended after: " + time.error().what);
    }
    const auto& before = values["before"];
    std::from_chars(before.data(), before.data() + before.size(), query.before);
    query.limit = page_rows;
    with_runs(query, [query, since, wrong, respond](const Expected<std::vector<LedgerRow>>& rows) {
      std::string body = search_form(query, since) + wrong;
      if (!rows) return respond(html_page({"Tasks", "/tasks", body + warning_html(rows.error().what)}));
      body += runs_html("Runs, the newest first", *rows, "No such runs.");
      if (rows->size() == static_cast<std::size_t>(page_rows))
        body += older_link(query, since, rows->back().run);
      respond(html_page({"Tasks", "/tasks", body}));
    });
  });
  add_page("/tasks/{name}", Access::admin, "What became of one task",
           [this](const Request& request, const Respond& respond) {
             show_task(request, respond, done_html(request.query_values()["done"]), 200);
           });
  add_action(
      "/tasks/{name}/retry", "Send a task's message again",
      [this](const Request& request, const FormValues&, const Respond& respond) {
        LedgerQuery query;
        query.task_id = request.params.at("name");
        query.with_message = true;
        query.limit = 1;
        with_runs(query, [this, request, respond](const Expected<std::vector<LedgerRow>>& rows) {
          const auto refuse = [&](const std::string& why, unsigned status) {
            show_task(request, respond, warning_html(why), status);
          };
          if (!rows) return refuse(rows.error().what, 503);
          if (rows->empty()) return refuse("The ledger knows no run of this task.", 404);
          auto message = message_of(rows->front());
          if (!message) return refuse(message.error().what, 409);
          if (!connected_) return refuse("The broker cannot be reached.", 503);
          const auto id = rows->front().task_id;
          act(request, respond, "retry", id, Json{{"run", rows->front().run}},
              [this, request, respond, id, message = std::move(*message)](const EndAction& end) {
                broker_->publish(Message(message), [this, request, respond, id, end](const Status& status) {
                  end(status.ok() ? "" : status.what, Json::object(), [this, request, respond, id, status] {
                    if (!status.ok()) return show_task(request, respond, warning_html(status.what), 503);
                    respond(see_other("/tasks/" + url_encoded(id) + "?done=retried"));
                  });
                });
              });
        });
      });
  add_action("/tasks/{name}/cancel", "Revoke a task",
             [this](const Request& request, const FormValues& form, const Respond& respond) {
               const auto& id = request.params.at("name");
               const bool terminate = form["terminate"] == "yes";
               act(request, respond, "cancel", id, Json{{"terminate", terminate}},
                   [this, request, respond, id, terminate](const EndAction& end) {
                     const bool told = revoke(id, terminate);
                     const std::string why = told ? "" : "The broker cannot be reached.";
                     end(why, Json::object(), [this, request, respond, id, why] {
                       if (!why.empty()) return show_task(request, respond, warning_html(why), 503);
                       respond(see_other("/tasks/" + url_encoded(id) + "?done=cancelled"));
                     });
                   });
             });
}

}  // namespace celeriac::http
