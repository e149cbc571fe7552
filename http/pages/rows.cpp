#include "http/pages/rows.hpp"

#include "http/pages/html.hpp"

#include <algorithm>
#include <iterator>

namespace celeriac::http {
namespace {

// One moment after another, with what lay between.
class Timeline {
 public:
  void add(double time, const std::string& what, const char* kind = "", const std::string& meanwhile = "") {
    if (time <= 0) return;
    out_ += "<li class=\"" + std::string(kind) + "\">";
    if (before_ > 0 && time >= before_)
      out_ += "<span class=gap>" + duration_text(time - before_) + " " + escaped(meanwhile) + "</span><br>";
    out_ += time_html(time) + " " + what + "</li>";
    before_ = time;
  }
  std::string text() const { return "<ol class=timeline>" + out_ + "</ol>\n"; }

 private:
  double before_ = 0;
  std::string out_;
};

// "run 2, attempt 1": a task that was sent again begins its attempts anew. `place` counts from the newest.
std::string run_name(std::ptrdiff_t place, const LedgerRow& row, std::size_t runs) {
  return "run " + std::to_string(static_cast<std::ptrdiff_t>(runs) - place) + ", attempt " +
         std::to_string(row.attempt);
}

std::string timeline(const std::vector<LedgerRow>& rows) {
  Timeline line;
  for (auto row = rows.rbegin(); row != rows.rend(); ++row) {
    const auto attempt =
        rows.size() > 1
            ? " (" + run_name(std::distance(rows.begin(), row.base()) - 1, *row, rows.size()) + ")"
            : std::string();
    line.add(row->received, "received by " + escaped(row->worker) + attempt, "", "until it came again");
    line.add(row->started, "started", "", "waiting for a slot");
    const bool bad = row->state == "FAILURE" || row->state == "REVOKED" || row->state == "REJECTED" ||
                     row->state == "LOST";
    line.add(row->ended, "ended as " + state_html(row->state),
             row->state == "SUCCESS" ? "good"
             : bad                   ? "bad"
                                     : "",
             row->started > 0 ? "running" : "waiting");
  }
  return line.text();
}

std::string run_html(const LedgerRow& row, const std::string& run) {
  std::string out = "<section><h2>R" + escaped(run.substr(1)) + ": " + state_html(row.state) + "</h2><dl>";
  const auto item = [&](const char* name, const std::string& html) {
    if (!html.empty()) out += "<dt>" + std::string(name) + "</dt><dd>" + html + "</dd>";
  };
  const auto text = [](const std::string& value) {
    return value.empty() ? "" : "<pre>" + escaped(value) + "</pre>";
  };
  item("Took",
       duration_text(row.runtime_ms / 1000.0) + ", CPU " + duration_text(row.cpu_ms / 1000.0) +
           (row.peak_rss_kib > 0 ? ", peak " + std::to_string(row.peak_rss_kib / 1024) + " MiB" : ""));
  item("Queue", queue_link(row.queue));
  item("Worker", escaped(row.worker));
  item("Cause", text(row.cause));
  item("Result", text(row.result));
  item("Arguments", text(row.args));
  item("Keywords", text(row.kwargs));
  item("Traceback",
       row.traceback.empty() ? "" : "<details><summary>show</summary>" + text(row.traceback) + "</details>");
  return out + "</dl></section>\n";
}

}  // namespace

std::string runs_html(const std::string& caption, const std::vector<LedgerRow>& rows, const char* none) {
  HtmlTable table(caption, {"Ended (UTC)", "State", "Task", "Id", "Queue", "Worker", "Took", "Cause"}, {6});
  for (const auto& row : rows)
    table.row({time_html(row.ended), state_html(row.state), escaped(row.task), task_link(row.task_id),
               escaped(row.queue), escaped(row.worker), duration_text(row.runtime_ms / 1000.0),
               escaped(row.cause.substr(0, std::min<std::size_t>(row.cause.find('\n'), 160)))});
  return table.text(none);
}

std::string history_html(const std::vector<LedgerRow>& rows) {
  std::string out = "<section><h2>Timeline (UTC)</h2>" + timeline(rows) + "</section>";
  std::ptrdiff_t place = 0;
  for (const auto& row : rows) out += run_html(row, run_name(place++, row, rows.size()));
  return out;
}

}  // namespace celeriac::http
