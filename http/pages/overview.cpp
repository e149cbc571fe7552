// The first page: what waits, who works, what failed last.
#include "http/front.hpp"
#include "http/pages/html.hpp"
#include "http/pages/queues.hpp"
#include "http/pages/rows.hpp"
#include "protocol/time.hpp"

#include <algorithm>
#include <cmath>

namespace celeriac::http {
namespace {

const std::string unknown = "<span class=dim title=\"not known yet\">?</span>";

// "2 (+1 at 3)": how many, and of which priorities other than the first.
std::string ready_cell(const QueueInfo& queue) {
  std::string out = std::to_string(queue.ready), steps;
  for (const auto& [step, count] : queue.by_priority)
    if (count > 0 && queue.by_priority.size() > 1 && step != queue.by_priority.front().first)
      steps += (steps.empty() ? "" : ", ") + std::to_string(count) + " at priority " + std::to_string(step);
  if (!steps.empty()) out += "<br><span class=dim>" + steps + "</span>";
  return out;
}

std::string rate_text(double per_minute) {
  if (per_minute < 10) {
    const auto tenths = static_cast<long>(std::lround(per_minute * 10));
    return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10);
  }
  return std::to_string(std::lround(per_minute));
}

std::string workers_cell(const QueuesPicture& picture, const QueueInfo& queue) {
  const auto found = picture.takers.find(queue.name);
  if (found == picture.takers.end()) {
    if (queue.consumers > 0) return std::to_string(queue.consumers);
    if (!picture.asked) return unknown;
    return queue.ready > 0 ? "<span class=bad>nobody</span>" : "<span class=dim>nobody</span>";
  }
  const auto& [ours, others] = found->second;
  std::string out;
  if (ours > 0) out = std::to_string(ours) + " celeriac";
  if (others > 0) out += (out.empty() ? "" : ", ") + std::to_string(others) + " Python";
  return out;
}

std::string problems(const QueuesPicture& picture) {
  std::string out;
  for (const auto& queue : *picture.queues) {
    const auto paused = picture.paused.find(queue.name);
    const bool taken = picture.takers.contains(queue.name) || queue.consumers > 0;
    const auto waiting =
        std::to_string(queue.ready) + (queue.ready == 1 ? " message waits" : " messages wait");
    if (paused != picture.paused.end() && queue.ready > 0)
      out += "<li>" + queue_link(queue.name) + " is paused (" + escaped(paused->second) + "), and " +
             waiting + "</li>";
    else if (queue.ready > 0 && !taken && picture.asked)
      out += "<li>" + queue_link(queue.name) + ": " + waiting + ", and nobody takes from it</li>";
  }
  return out.empty()
             ? out
             : "<div class=warn role=status><strong>Look at this</strong><ul>" + out + "</ul></div>\n";
}

}  // namespace

std::string Front::queues_html(const QueuesPicture& picture) const {
  if (!picture.queues) return warning_html(picture.queues.error().what);
  HtmlTable table("Queues",
                  {"Queue", "Ready", "Held", "Delayed", "Dead", "Oldest has waited", "In / min", "Out / min",
                   "Errors", "Workers", "State"},
                  {1, 2, 3, 4, 5, 6, 7, 8});
  for (const auto& queue : *picture.queues) {
    double out_rate = 0, errors = 0;
    if (picture.rates)
      for (const auto& rate : *picture.rates)
        if (rate.queue == queue.name && rate.seconds > 0) {
          out_rate = static_cast<double>(rate.runs) * 60 / rate.seconds;
          errors = static_cast<double>(rate.failures) * 100 / static_cast<double>(rate.runs);
        }
    const auto growth = trend_.growth(queue.name);
    const auto waited = queue.ready > 0 ? trend_.waited(queue.name, unix_now()) : std::nullopt;
    const auto paused = picture.paused.find(queue.name);
    const auto about = [&](std::uint64_t n) { return (queue.estimated ? "~" : "") + std::to_string(n); };
    table.row({queue_link(queue.name), ready_cell(queue), about(queue.unacked), about(queue.delayed),
               queue.dead == 0 ? "0"
                               : "<a class=bad href=\"/dead?queue=" + url_encoded(queue.name) + "\">" +
                                     std::to_string(queue.dead) + "</a>",
               queue.ready == 0 ? ""
               : waited         ? "&ge; " + duration_text(*waited)
                                : unknown,
               growth && picture.rates ? rate_text(std::max(0.0, *growth + out_rate)) : unknown,
               picture.rates ? rate_text(out_rate) : unknown,
               !picture.rates ? unknown
               : errors > 0   ? "<span class=bad>" + rate_text(errors) + " %</span>"
                              : "0 %",
               workers_cell(picture, queue),
               paused != picture.paused.end()
                   ? "<span class=\"state bad\" title=\"" + escaped(paused->second) + "\">paused</span>"
                   : "<span class=\"state good\">open</span>"});
  }
  return problems(picture) + table.text("No queues are known.");
}

std::string Front::workers_html() {
  const double now = unix_now();
  HtmlTable table("Workers", {"Worker", "Software", "Takes from", "Running", "Processed", "Heard of"},
                  {3, 4});
  for (const auto& worker : live_workers_.list(now)) {
    std::string queues = worker.queues ? "" : unknown;
    for (const auto& queue : worker.queues.value_or(std::vector<std::string>()))
      queues += (queues.empty() ? "" : ", ") + queue_link(queue);
    table.row({escaped(worker.name), escaped(worker.software), queues, std::to_string(worker.active),
               std::to_string(worker.processed),
               std::to_string(static_cast<long>(std::max(0.0, now - worker.seen))) + " s ago"});
  }
  return table.text("No worker has been heard of in the last minute.");
}

void Front::add_overview_pages() {
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
  add_page("/", Access::admin, "Dashboard", [this](const Request&, const Respond& respond) {
    with_picture(queue_names(), [this, respond](const QueuesPicture& picture) {
      const auto body = queues_html(picture) + workers_html();
      LedgerQuery query;
      query.state = "FAILURE";
      query.limit = 10;
      with_runs(query, [respond, body](const Expected<std::vector<LedgerRow>>& rows) {
        respond(html_page({"Overview", "/",
                           body + (rows ? runs_html("Failed last", *rows, "Nothing has failed.")
                                        : warning_html(rows.error().what))}));
      });
    });
  });
  add_page("/workers", Access::admin, "Workers", [this](const Request&, const Respond& respond) {
    respond(html_page({"Workers", "/workers", workers_html()}));
  });
}

}  // namespace celeriac::http
