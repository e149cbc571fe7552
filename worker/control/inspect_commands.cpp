// Commands that only look. Their replies have the shapes that Python's workers give, so that Flower and
// `celery inspect` read them.
#include "worker/control/command_table.hpp"
#include "worker/control/node_facts.hpp"
#include "worker/control/task_info.hpp"
#include "worker/logging.hpp"
#include "worker/pool/memory.hpp"

#include "protocol/time.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <ctime>

namespace celeriac::remote {
namespace {

constexpr std::size_t most_memory_samples = 100;
constexpr int timer_priority = 6;  // of an ETA, in Celery's scheduler

using Phase = Request::Phase;

bool is_reserved(const Request& request) {
  return request.phase == Phase::ready || request.phase == Phase::pooled;
}

TaskInfoOptions info_options(const ControlPanel& panel, bool safe = false) {
  return {panel.node, &panel.consumer.accept(), safe};
}

// The requests that `wanted` picks, in the order they came.
template <class Wanted>
Json list(const ControlPanel& panel, bool safe, Wanted wanted) {
  std::vector<const Request*> picked;
  for (const auto& [job, request] : panel.consumer.requests()) {
    if (wanted(request)) picked.push_back(&request);
  }
  std::sort(picked.begin(), picked.end(), [](const Request* a, const Request* b) { return a->job < b->job; });
  Json out = Json::array();
  for (const Request* request : picked) out.push_back(task_info(*request, info_options(panel, safe)));
  return out;
}

std::vector<std::pair<double, std::string>> oldest_first(const RevokedSet& revoked) {
  std::vector<std::pair<double, std::string>> ids;
  for (const auto& [id, when] : revoked.entries()) ids.emplace_back(when, id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

double monotonic_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

std::string memory_now() { return fmt::format("{:.3f}MB", static_cast<double>(resident_bytes()) / 1e6); }

}  // namespace

Answer ping(ControlPanel&, const CommandArguments&) { return ok("pong"); }

Answer active(ControlPanel& panel, const CommandArguments& args) {
  return list(panel, args.truth("safe"), [](const Request& r) { return r.phase == Phase::running; });
}

Answer reserved(ControlPanel& panel, const CommandArguments&) { return list(panel, false, is_reserved); }

Answer scheduled(ControlPanel& panel, const CommandArguments&) {
  std::vector<const Consumer::Scheduled*> waiting;
  for (const auto& [tag, scheduled] : panel.consumer.scheduled()) waiting.push_back(&scheduled);
  std::sort(waiting.begin(), waiting.end(), [](const auto* a, const auto* b) {
    return a->headers->eta.value_or(0) < b->headers->eta.value_or(0);
  });
  Json out = Json::array();
  for (const Consumer::Scheduled* one : waiting) {
    const auto& eta = one->headers->eta;
    out.push_back({{"eta", eta ? Json(format_iso8601(*eta)) : Json(nullptr)},
                   {"priority", timer_priority},
                   {"request", task_info(*one, info_options(panel))}});
  }
  return out;
}

Answer query_task(ControlPanel& panel, const CommandArguments& args) {
  const std::vector<std::string> ids = args.texts("ids");
  Json out = Json::object();
  for (const auto& [job, request] : panel.consumer.requests()) {
    const bool running = request.phase == Phase::running;
    if (!running && !is_reserved(request)) continue;
    if (std::find(ids.begin(), ids.end(), request.id()) == ids.end()) continue;
    out[request.id()] = {running ? "active" : "reserved", task_info(request, info_options(panel))};
  }
  return out;
}

Answer revoked(ControlPanel& panel, const CommandArguments&) {
  Json out = Json::array();
  for (auto& [when, id] : oldest_first(panel.consumer.revoked())) out.push_back(std::move(id));
  return out;
}

Answer registered(ControlPanel& panel, const CommandArguments& args) {
  std::vector<std::string> items = args.texts("taskinfoitems");
  if (items.empty()) items = {"exchange", "routing_key", "rate_limit"};
  Json out = Json::array();
  for (const App::Task* task : panel.app.tasks()) {
    if (task->name.rfind("celery.", 0) == 0 && !args.truth("builtins")) continue;
    const TaskOptions& o = task->options;
    std::string fields;
    for (const std::string& item : items) {
      std::optional<std::string> value;
      if (item == "name") value = task->name;
      if (item == "rate_limit") value = o.rate_limit;
      if (item == "max_retries" && o.max_retries) value = std::to_string(*o.max_retries);
      if (item == "default_retry_delay") value = limit_text(o.default_retry_delay);
      if (item == "time_limit" && o.time_limit) value = limit_text(*o.time_limit);
      if (item == "soft_time_limit" && o.soft_time_limit) value = limit_text(*o.soft_time_limit);
      if (item == "acks_late" && o.acks_late) value = *o.acks_late ? "True" : "False";
      if (item == "queue" && !o.queue.empty()) value = o.queue;
      if (value) fields += (fields.empty() ? "" : " ") + item + "=" + *value;
    }
    out.push_back(fields.empty() ? task->name : task->name + " [" + fields + "]");
  }
  return out;
}

Answer active_queues(ControlPanel& panel, const CommandArguments&) {
  Json out = Json::array();
  for (const std::string& queue : panel.consumer.queues()) out.push_back(queue_facts(queue, panel.settings));
  return out;
}

Answer clock(ControlPanel& panel, const CommandArguments&) { return Json{{"clock", panel.clock.value()}}; }

Answer conf(ControlPanel& panel, const CommandArguments& args) {
  const Json& wanted = args["with_defaults"];
  const bool text_no =
      wanted.is_string() && (wanted == "false" || wanted == "False" || wanted == "0" || wanted == "no");
  return shown_settings(panel.settings, args.truth("with_defaults") && !text_no);
}

Answer report(ControlPanel& panel, const CommandArguments&) { return ok(report_text(panel)); }

Answer stats(ControlPanel& panel, const CommandArguments&) {
  Json total = Json::object();
  for (const auto& [task, count] : panel.consumer.totals()) total[task] = count;
  Json out = Json::object();
  out["total"] = std::move(total);
  out["pid"] = ::getpid();
  out["clock"] = std::to_string(panel.clock.value());
  out["uptime"] = static_cast<std::int64_t>(std::round(unix_now() - panel.started_at));
  out["pool"] = pool_facts(panel);
  if (const auto& scaler = panel.pool_size.autoscaler()) {
    out["autoscaler"] = {{"max", scaler->max()},
                         {"min", scaler->min()},
                         {"current", panel.pool.slots()},
                         {"qty", panel.consumer.reserved()}};
  }
  out["broker"] = broker_facts(panel.settings);
  out["prefetch_count"] = panel.consumer.prefetch_count();
  out["rusage"] = resource_usage();
  return out;
}

// Python's workers keep the times of revoked ids on the monotonic clock.
Answer hello(ControlPanel& panel, const CommandArguments& args) {
  const std::string from = args.text("from_node");
  if (from == panel.node) return Json(nullptr);
  log(LogLevel::info, "sync with " + from);
  const double now = unix_now();
  if (const Json& theirs = args["revoked"]; theirs.is_object()) {
    for (const auto& [id, when] : theirs.items()) panel.consumer.revoked().add(id, now);
  }
  Json ours = Json::object();
  for (const auto& [when, id] : oldest_first(panel.consumer.revoked())) {
    if (panel.consumer.revoked().contains(id, now)) ours[id] = {monotonic_now() - (now - when), id};
  }
  return Json{{"revoked", std::move(ours)}, {"clock", panel.clock.forward()}};
}

Answer memsample(ControlPanel& panel, const CommandArguments&) {
  std::string sample = memory_now();
  if (panel.memory_samples.size() >= most_memory_samples)
    panel.memory_samples.erase(panel.memory_samples.begin());
  panel.memory_samples.push_back(sample);
  return Json(sample);
}

Answer memdump(ControlPanel& panel, const CommandArguments& args) {
  const auto wanted = args.integer("samples", 10);
  if (!wanted) return tl::unexpected(wanted.error());
  const auto& samples = panel.memory_samples;
  if (samples.empty()) return Json("- rss: (no samples collected).\n");
  const std::size_t count =
      std::min(samples.size(), static_cast<std::size_t>(std::max<std::int64_t>(1, *wanted)));
  std::string text = "- rss (sample):\n";
  for (std::size_t i = samples.size() - count; i < samples.size(); ++i)
    text += "-    > " + samples[i] + ",\n";
  return Json(text + "- rss (end): " + memory_now() + ".\n");
}

Answer objgraph(ControlPanel&, const CommandArguments&) {
  return unexpected(exception_repr("ImportError", "Requires the objgraph library"));
}

}  // namespace celeriac::remote
