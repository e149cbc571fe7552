// Tasks of Celery's integration tests that end one run to get another: retries and rejects.
#include "conformance/tasks.hpp"

#include <set>

namespace conformance {
namespace {

using celeriac::Context;
using celeriac::Json;
using celeriac::TaskError;

TaskError expected_exception() {
  return TaskError("ExpectedException", Json::array(), "t.integration.tasks");
}

Json retry(Context& context, std::optional<Json> return_value) {
  if (return_value && context.retries() >= 3) return *return_value;
  context.retry({.countdown = 5, .exc = expected_exception()});
}

Json retry_unpickleable(Context& context, Json foo, Json, Json retry_kwargs) {
  context.retry({.countdown = retry_kwargs.value("countdown", 1.0),
                 .max_retries = retry_kwargs.value("max_retries", 3),
                 .exc = TaskError("UnpickleableException", Json::array({foo}), "t.integration.tasks")});
}

// Retries a first run as its keyword arguments say.
void retry_first(Context& context, const Json& kwargs) {
  if (context.retries() > 0) return;
  context.retry({.countdown = kwargs.value("countdown", 0.1), .max_retries = kwargs.value("max_retries", 1)});
}

Json retry_once(Context& context, const Json&, const Json& kwargs) {
  retry_first(context, kwargs);
  return context.retries();
}

Json retry_once_priority(Context& context, const Json&, const Json& kwargs) {
  retry_first(context, kwargs);
  const auto priority = context.message().properties.priority;
  return priority ? Json(*priority) : Json(nullptr);
}

// The headers a producer added itself: all but the protocol's own.
Json custom_headers(const Context& context) {
  static const std::set<std::string> own = {"lang",
                                            "task",
                                            "id",
                                            "shadow",
                                            "eta",
                                            "expires",
                                            "group",
                                            "group_index",
                                            "retries",
                                            "timelimit",
                                            "root_id",
                                            "parent_id",
                                            "argsrepr",
                                            "kwargsrepr",
                                            "origin",
                                            "ignore_result",
                                            "replaced_task_nesting",
                                            "stamped_headers",
                                            "stamps",
                                            "compression",
                                            "redelivered"};
  Json custom = Json::object();
  const Json all = celeriac::parse_json(context.message().headers).value_or(Json::object());
  for (const auto& [name, value] : all.items()) {
    if (!own.contains(name)) custom[name] = value;
  }
  return custom;
}

Json retry_once_headers(Context& context, const Json&, const Json& kwargs) {
  retry_first(context, kwargs);
  return custom_headers(context);
}

Json auto_retry(Context& context) {
  if (context.retries() == 0) throw TaskError("ValueError", Json::array());
  return context.retries();
}

// ---- test_rabbitmq_quorum_queue_cycle_detection.py

TaskError simulated_failure() {
  return TaskError("TaskFailedException", Json::array({"Simulated failure"}),
                   "t.integration.test_rabbitmq_quorum_queue_cycle_detection");
}

Json countdown_task_with_retry(Context& context) {
  if (context.retries() < 1) context.retry({.exc = simulated_failure()});
  return context.retries();
}

Json non_eta_task_with_retries(Context& context) {
  if (context.retries() < 2) context.retry({.countdown = 3, .exc = simulated_failure()});
  return context.retries();
}

Json store_success_then_reject(Context& context) {
  if (context.redelivered()) return "dedup-pass";
  context.update_state("SUCCESS", "first-pass");
  throw celeriac::Reject{"first delivery", true};
}

std::string reject_then_succeed(Context& context) {
  if (context.redelivered()) return "second-pass";
  throw celeriac::Reject{"first delivery", true};
}

}  // namespace

void add_suite_retries(celeriac::App& app) {
  const std::string suite = "t.integration.tasks.";
  app.task(suite + "retry", retry, {.params = {"return_value"}, .default_retry_delay = 1});
  app.task(suite + "retry_unpickleable", retry_unpickleable,
           {.params = {"foo", "bar", "retry_kwargs"}, .default_retry_delay = 1});
  const std::string cycles = "t.integration.test_rabbitmq_quorum_queue_cycle_detection.";
  app.task(cycles + "countdown_task_with_retry", countdown_task_with_retry,
           {.max_retries = 1, .default_retry_delay = 3});
  app.task(cycles + "non_eta_task_with_retries", non_eta_task_with_retries, {.max_retries = 2});
  app.raw_task(suite + "retry_once", retry_once, {.max_retries = 1});
  app.raw_task(suite + "retry_once_priority", retry_once_priority, {.max_retries = 1});
  app.raw_task(suite + "retry_once_headers", retry_once_headers, {.max_retries = 1});
  app.task("auto_retry_class_task", auto_retry,
           {.max_retries = 1, .autoretry_for = {"ValueError"}, .retry_backoff = 1});
  app.task(suite + "store_success_then_reject", store_success_then_reject, {.acks_late = true});
  app.task(suite + "reject_then_succeed", reject_then_succeed, {.acks_late = true});
}

}  // namespace conformance
