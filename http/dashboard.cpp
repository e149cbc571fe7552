// Pages for people: what waits, what ran, who works. For administrators; read only.
#include "http/front.hpp"
#include "http/html.hpp"
#include "protocol/time.hpp"

#include <algorithm>
#include <charconv>

namespace celeriac::http {
namespace {

constexpr std::chrono::seconds broker_patience{2};
constexpr std::int32_t page_rows = 50;
constexpr std::size_t most_letters = 50;

std::string number_cell(std::uint64_t value) { return std::to_string(value); }

std::string time_cell(double time) {
  if (time <= 0) return "<span class=dim>never</span>";
  auto text = format_iso8601(time);
  return "<time datetime=\"" + escaped(text) + "\">" + escaped(text.substr(0, 19)) + "</time>";
}

std::string state_cell(const std::string& state) {
  const char* kind = state == "SUCCESS" ? "good" : state == "FAILURE" || state == "REVOKED" ? "bad" : "dim";
  return "<span class=" + std::string(kind) + ">" + escaped(state) + "</span>";
}

std::string task_link(const LedgerRow& row) {
  return "<a href=\"/tasks/" + url_encoded(row.task_id) + "\"><code>" + escaped(row.task_id) + "</code></a>";
}

std::string runs_table(const char* caption, const std::vector<LedgerRow>& rows, const char* none) {
  HtmlTable table(caption, {"Ended (UTC)", "State", "Task", "Id", "Queue", "Worker", "ms", "Cause"}, {6});
  for (const auto& row : rows)
    table.row({time_cell(row.ended), state_cell(row.state), escaped(row.task), task_link(row),
               escaped(row.queue), escaped(row.worker), std::to_string(row.runtime_ms),
               escaped(row.cause.substr(0, std::min<std::size_t>(row.cause.find('\n'), 160)))});
  return table.text(none);
}

std::string queues_table(const std::vector<QueueInfo>& queues) {
  HtmlTable table("Queues", {"Queue", "Ready", "Held", "Delayed", "Dead letters", ""}, {1, 2, 3, 4});
  for (const auto& queue : queues)
    table.row({escaped(queue.name), number_cell(queue.ready), number_cell(queue.unacked),
               number_cell(queue.delayed),
               queue.dead == 0 ? "0"
                               : "<a class=bad href=\"/dead?queue=" + url_encoded(queue.name) + "\">" +
                                     number_cell(queue.dead) + "</a>",
               queue.consumers == 0 ? "<span class=bad>nobody takes from it</span>" : ""});
  return table.text("No queues are known.");
}

std::string workers_table(const std::vector<LiveWorker>& workers, double now) {
  HtmlTable table("Workers", {"Worker", "Software", "Running", "Processed", "Heard of"}, {2, 3, 4});
  for (const auto& worker : workers)
    table.row({escaped(worker.name), escaped(worker.software), std::to_string(worker.active),
               std::to_string(worker.processed),
               std::to_string(static_cast<long>(std::max(0.0, now - worker.seen))) + " s ago"});
  return table.text("No worker has been heard of in the last minute.");
}

std::string warning(const std::string& text) {
  return "<p class=warn role=status>" + escaped(text) + "</p>\n";
}

std::string field(const char* name, const char* label, const std::string& value) {
  return "<label>" + std::string(label) + "<input name=" + name + " value=\"" + escaped(value) +
         "\"></label>";
}

std::string search_form(const LedgerQuery& query) {
  std::string out = "<form method=get action=\"/tasks\" role=search>" + field("words", "Words", query.words) +
                    field("task", "Task", query.task) + field("queue", "Queue", query.queue) +
                    "<label>State<select name=state><option value=\"\">any</option>";
  for (const char* state : {"SUCCESS", "FAILURE", "RETRY", "REVOKED", "IGNORED", "REJECTED"})
    out += "<option" + std::string(query.state == state ? " selected" : "") + ">" + state + "</option>";
  return out + "</select></label><button>Search</button></form>\n";
}

std::string run_details(const LedgerRow& row) {
  std::string out =
      "<section><h2>Attempt " + std::to_string(row.attempt) + ": " + state_cell(row.state) + "</h2><dl>";
  const auto item = [&](const char* name, const std::string& html) {
    if (!html.empty()) out += "<dt>" + std::string(name) + "</dt><dd>" + html + "</dd>";
  };
  const auto text = [](const std::string& value) {
    return value.empty() ? "" : "<pre>" + escaped(value) + "</pre>";
  };
  item("Received", time_cell(row.received));
  item("Started", time_cell(row.started));
  item("Ended", time_cell(row.ended));
  item("Took",
       std::to_string(row.runtime_ms) + " ms, CPU " + std::to_string(row.cpu_ms) + " ms" +
           (row.peak_rss_kib > 0 ? ", peak " + std::to_string(row.peak_rss_kib / 1024) + " MiB" : ""));
  item("Queue", escaped(row.queue));
  item("Worker", escaped(row.worker));
  item("Arguments", text(row.args));
  item("Keywords", text(row.kwargs));
  item("Result", text(row.result));
  item("Cause", text(row.cause));
  item("Traceback", text(row.traceback));
  for (const auto& [name, id] : {std::pair{"Root", row.root_id}, std::pair{"Parent", row.parent_id}})
    if (!id.empty() && id != row.task_id)
      item(name, "<a href=\"/tasks/" + url_encoded(id) + "\"><code>" + escaped(id) + "</code></a>");
  return out + "</dl></section>\n";
}

constexpr const char* no_ledger = "Runs are shown from the ledger, and ledger_url is not set.";

}  // namespace

void Front::add_page(std::string path, std::string summary, std::function<void(Request, Respond)> handle) {
  Route route;
  route.method = "GET";
  route.path = std::move(path);
  route.access = Access::admin;
  route.summary = std::move(summary);
  route.handle = std::move(handle);
  route.page = true;
  router_.add(std::move(route));
}

void Front::add_pages() {
  for (const auto& [path, type, text] :
       {std::tuple{"/dashboard.css", "text/css; charset=utf-8", dashboard_style},
        std::tuple{"/dashboard.js", "text/javascript; charset=utf-8", dashboard_script}})
    router_.add({"GET", path, Access::anybody, "Of the dashboard",
                 [type, text](const Request&, const Respond& respond) {
                   Response response;
                   response.content_type = type;
                   response.body = text;
                   respond(std::move(response.with("Cache-Control", "max-age=300")));
                 }});
  add_page("/", "Dashboard", [this](const Request&, const Respond& respond) {
    with_queues([this, respond](const Expected<std::vector<QueueInfo>>& queues) {
      std::string body = queues ? queues_table(*queues) : warning(queues.error().what);
      body += workers_table(live_workers_.list(unix_now()), unix_now());
      LedgerQuery query;
      query.state = "FAILURE";
      query.limit = 10;
      with_runs(query, [respond, body](const Expected<std::vector<LedgerRow>>& rows) {
        respond(html_page("Overview", "/",
                          body + (rows ? runs_table("Failed last", *rows, "Nothing has failed.")
                                       : warning(rows.error().what))));
      });
    });
  });
  add_page("/tasks", "Search runs", [this](const Request& request, const Respond& respond) {
    auto values = request.query_values();
    LedgerQuery query;
    query.words = values["words"];
    query.task = values["task"];
    query.queue = values["queue"];
    query.state = values["state"];
    const auto& before = values["before"];
    std::from_chars(before.data(), before.data() + before.size(), query.before);
    query.limit = page_rows;
    with_runs(query, [query, respond](const Expected<std::vector<LedgerRow>>& rows) {
      std::string body = search_form(query);
      if (!rows) return respond(html_page("Tasks", "/tasks", body + warning(rows.error().what)));
      body += runs_table("Runs, the newest first", *rows, "No such runs.");
      if (rows->size() == static_cast<std::size_t>(page_rows))
        body += "<p><a rel=next href=\"/tasks?words=" + url_encoded(query.words) +
                "&amp;task=" + url_encoded(query.task) + "&amp;queue=" + url_encoded(query.queue) +
                "&amp;state=" + url_encoded(query.state) + "&amp;before=" + std::to_string(rows->back().run) +
                "\">Older</a></p>";
      respond(html_page("Tasks", "/tasks", body));
    });
  });
  add_page("/tasks/{name}", "The runs of one task", [this](const Request& request, const Respond& respond) {
    LedgerQuery query;
    query.task_id = request.params.at("name");
    with_runs(query, [query, respond](const Expected<std::vector<LedgerRow>>& rows) {
      if (!rows) return respond(html_page(query.task_id, "", warning(rows.error().what)));
      if (rows->empty()) {
        auto page = html_page(query.task_id, "", warning("The ledger knows no run of this task."));
        page.status = 404;
        return respond(std::move(page));
      }
      std::string body = "<p>" + escaped(rows->front().task) + "</p>";
      for (const auto& row : *rows) body += run_details(row);
      respond(html_page(query.task_id, "", body));
    });
  });
  add_page("/workers", "Workers", [this](const Request&, const Respond& respond) {
    respond(html_page("Workers", "/workers", workers_table(live_workers_.list(unix_now()), unix_now())));
  });
  add_page("/dead", "Dead letters", [this](const Request& request, const Respond& respond) {
    const auto queue = request.query_values()["queue"];
    if (!keeper_) return respond(html_page("Dead letters", "/dead", warning(keeper_problem_)));
    keeper_->dead(queue, 0, most_letters, [respond](const Expected<std::vector<KeptLetter>>& letters) {
      if (!letters) return respond(html_page("Dead letters", "/dead", warning(letters.error().what)));
      HtmlTable table("The newest " + std::to_string(most_letters),
                      {"Buried (UTC)", "Queue", "Category", "Task", "Id", "Cause"});
      for (const auto& letter : *letters)
        table.row({time_cell(letter.time), escaped(letter.queue), escaped(letter.why.category),
                   escaped(letter.why.task), "<code>" + escaped(letter.id) + "</code>",
                   escaped(letter.why.cause)});
      respond(html_page("Dead letters", "/dead",
                        table.text("There are none.") +
                            "<p class=dim>celeriac dead show, requeue and discard act on them.</p>"));
    });
  });
}

void Front::with_queues(std::function<void(const Expected<std::vector<QueueInfo>>&)> then) {
  std::vector<std::string> names;
  for (const auto& task : tasks_)
    if (std::find(names.begin(), names.end(), task.queue) == names.end()) names.push_back(task.queue);
  std::sort(names.begin(), names.end());
  struct Pending {
    explicit Pending(boost::asio::io_context& io) : timer(io) {}
    boost::asio::steady_timer timer;
    std::function<void(const Expected<std::vector<QueueInfo>>&)> then;
  };
  const auto pending = std::make_shared<Pending>(io_);
  pending->then = std::move(then);
  const auto finish = [pending](const Expected<std::vector<QueueInfo>>& queues) {
    const auto answer = std::exchange(pending->then, nullptr);
    if (!answer) return;
    pending->timer.cancel();
    answer(queues);
  };
  pending->timer.expires_after(broker_patience);
  pending->timer.async_wait([finish](const boost::system::error_code& error) {
    if (!error) finish(unexpected("The broker does not answer."));
  });
  if (!connected_) return finish(unexpected("The broker cannot be reached."));
  broker_->inspect(std::move(names), finish);
}

void Front::with_runs(const LedgerQuery& query,
                      std::function<void(const Expected<std::vector<LedgerRow>>&)> then) {
  if (!ledger_) return then(unexpected(no_ledger));
  if (!ledger_up_) return then(unexpected("The ledger's server cannot be reached."));
  ledger_->find(query, std::move(then));
}

}  // namespace celeriac::http
