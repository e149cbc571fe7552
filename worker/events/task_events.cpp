#include "worker/events/task_events.hpp"

#include "protocol/repr.hpp"
#include "protocol/time.hpp"
#include "worker/settle.hpp"

#include <fmt/format.h>

namespace celeriac {
namespace {

constexpr std::size_t result_repr_max = 1024;
// A larger result is not read again only to show its beginning.
constexpr std::size_t most_bytes_to_read = 64 * 1024;

std::string time_text(const std::optional<double>& when, const std::string& as_received) {
  if (!when) return {};
  return as_received.empty() ? format_iso8601(*when) : as_received;
}

std::string result_repr(const std::string& json) {
  if (json.size() <= most_bytes_to_read) {
    if (const auto value = parse_json(json)) return python_repr(*value, result_repr_max);
  }
  return json.substr(0, result_repr_max) + (json.size() > result_repr_max ? "..." : "");
}

TaskEvent failed(const std::string& exception, const std::string& traceback) {
  TaskEvent event{"task-failed", {}};
  event.fields.text("exception", exception).text_or_null("traceback", traceback);
  return event;
}

TaskEvent rejected(bool requeue) {
  TaskEvent event{"task-rejected", {}};
  event.fields.boolean("requeue", requeue);
  return event;
}

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

}  // namespace

TaskEvent received_event(const TaskHeaders& headers, std::string_view argsrepr, std::string_view kwargsrepr) {
  TaskEvent event{"task-received", {}};
  event.fields.text("name", headers.display_name())
      .text("args", argsrepr)
      .text("kwargs", kwargsrepr)
      .text_or_null("root_id", headers.root_id)
      .text_or_null("parent_id", headers.parent_id)
      .integer("retries", headers.retries)
      .text_or_null("eta", time_text(headers.eta, headers.eta_text))
      .text_or_null("expires", time_text(headers.expires, headers.expires_text));
  return event;
}

TaskEvent started_event() { return {"task-started", {}}; }

TaskEvent revoked_event(bool terminated, int signal, bool expired) {
  TaskEvent event{"task-revoked", {}};
  event.fields.boolean("terminated", terminated);
  if (signal != 0)
    event.fields.integer("signum", signal);
  else
    event.fields.json("signum", "null");
  event.fields.boolean("expired", expired);
  return event;
}

TaskEvent unregistered_event(const std::string& task) {
  TaskEvent event{"task-failed", {}};
  event.fields.text("exception", "NotRegistered(" + python_repr(Json(task)) + ")");
  event.alone = true;
  return event;
}

std::optional<TaskEvent> ended_event(const Outcome& outcome, JobId job, double seconds,
                                     int terminate_signal) {
  if (std::holds_alternative<Undecodable>(outcome)) return {};
  return std::visit(
      Overloaded{
          [&](const Returned& o) {
            TaskEvent event{"task-succeeded", {}};
            event.fields.text("result", result_repr(o.result)).number("runtime", seconds);
            return event;
          },
          [](const Threw& o) { return failed(o.exception.repr(), o.traceback); },
          [](const AskedRetry& o) {
            TaskEvent event{"task-retried", {}};
            event.fields.text("exception", o.exception.type.empty() ? o.reason : o.exception.repr())
                .text_or_null("traceback", o.traceback);
            return event;
          },
          [](const HardTimeout& o) { return failed("TimeLimitExceeded(" + python_float(o.limit) + ")", {}); },
          [&](const Lost& o) {
            const auto lost = [](const Lost& how, JobId which) {
              TaskEvent event = failed(lost_exception(how, which).repr(), {});
              event.told_if_requeued = false;  // it has not failed: it runs again
              return event;
            };
            if (!o.terminated) return lost(o, job);
            return revoked_event(true, terminate_signal != 0 ? terminate_signal : o.signal, false);
          },
          [](const auto&) { return TaskEvent{}; },  // ignored; a rejected one is told by its verdict
      },
      outcome);
}

std::vector<TaskEvent> settled_events(TaskEvent ended, Verdict verdict) {
  std::vector<TaskEvent> events;
  const bool goes = verdict == Verdict::requeue || verdict == Verdict::bury;
  if (goes && !ended.alone) events.push_back(rejected(verdict == Verdict::requeue));
  const bool untold = verdict == Verdict::requeue && !ended.told_if_requeued;
  if (!ended.type.empty() && !untold) events.push_back(std::move(ended));
  return events;
}

}  // namespace celeriac
