#include "tasks/llm_processing/tasks.hpp"
#include "tasks/store/slot_database.hpp"
#include "worker/async_task.hpp"

#include <algorithm>
#include <random>
#include <utility>

namespace celeriac {
namespace {

constexpr double longest_pause = 600;  // seconds between two attempts

// Half to all of 2^retries seconds, and no sooner than the provider asked for.
double pause_before_retry(std::int64_t retries, const LlmError& error) {
  thread_local std::mt19937_64 generator{std::random_device{}()};
  const double full =
      std::min(longest_pause, static_cast<double>(1LL << std::min<std::int64_t>(retries, 10)));
  const double jittered = std::uniform_real_distribution<double>(full / 2, full)(generator);
  const double asked = error.retry_after ? static_cast<double>(error.retry_after->count()) / 1000 : 0;
  return std::min(std::max(jittered, asked), longest_pause);
}

[[noreturn]] void fail(Context& context, const LlmError& error) {
  const TaskError failure = invoice_error(std::string(exception_type(error.kind)), error.what());
  if (!is_passing(error.kind)) throw failure;
  RetryOptions again;
  again.countdown = pause_before_retry(context.retries(), error);
  again.exc = failure;
  context.retry(again);
}

using Taken = std::function<Json(Context&, const Json&, const Json&)>;
using Step = boost::asio::awaitable<Json> (*)(LlmServicePtr, Context&, Json);

boost::asio::awaitable<Json> run(Step step, LlmServicePtr service, Context& context, Json taken) {
  try {
    Json result = co_await step(std::move(service), context, std::move(taken));
    co_return result;
  } catch (const LlmError& error) {
    fail(context, error);
  } catch (const DatabaseError& error) {
    throw task_error(error);
  }
}

boost::asio::awaitable<Json> complete_step(LlmServicePtr service, Context& context, Json taken) {
  return ask_model(std::move(service), context, taken.at(0).get<std::string>(), taken.at(1), taken.at(2));
}

boost::asio::awaitable<Json> patch_step(LlmServicePtr service, Context& context, Json taken) {
  return patch_fields(std::move(service), context, taken.at(0).get<std::string>(), taken.at(1));
}

boost::asio::awaitable<Json> analyze_step(LlmServicePtr service, Context& context, Json taken) {
  return analyze_text(std::move(service), context, taken.at(0).get<std::string>(),
                      taken.at(1).get<std::string>(), taken.at(2).get<std::string>());
}

Json take_analyze(Context&, std::string text, std::string type, std::string task_id, Json) {
  return Json::array({std::move(text), std::move(type), std::move(task_id)});
}

Json take_complete(Context&, std::string prompt, Json schema, Json options) {
  return Json::array({std::move(prompt), std::move(schema), std::move(options)});
}

Json take_patch(Context&, std::string invoice_id, Json options) {
  return Json::array({std::move(invoice_id), std::move(options)});
}

TaskOptions options_of_queue() {
  TaskOptions options;
  options.queue = "llm_processing";
  options.acks_late = true;
  options.reject_on_worker_lost = true;
  options.max_retries = 5;
  options.autoretry_for = {"OperationalError"};
  options.retry_backoff = 1;
  options.retry_backoff_max = 60;
  options.throws = {"LlmRequestRefused", "LlmAnswerRefused", "LlmBudgetExceeded", "LlmNotConfigured",
                    "InvoiceNotFound"};
  return options;
}

template <class F>
void add(App& app, std::string name, Step step, F take, const LlmServicePtr& service, TaskOptions options) {
  auto rules = argument_rules(take, options);
  const Taken arguments = bind_arguments(take, options);
  app.async_task(
      std::move(name),
      [arguments, step, service](Context& context, const Json& args, const Json& kwargs) {
        return run(step, service, context, arguments(context, args, kwargs));
      },
      std::move(options), std::move(rules));
}

}  // namespace

void register_llm_processing(App& app, LlmConfig config) {
  const double call = std::chrono::duration<double>(config.timeout).count();
  const auto service = std::make_shared<LlmService>(std::move(config));
  TaskOptions options = options_of_queue();
  options.soft_time_limit = 2 * call + 30;  // a call, its repair, the database
  options.time_limit = 2 * call + 60;
  options.params = {"prompt", "schema", "options"};
  options.defaults = {{"schema", nullptr}, {"options", nullptr}};
  add(app, "llm_processing.complete", complete_step, take_complete, service, options);
  options.params = {"invoice_id", "options"};
  options.defaults = {{"options", nullptr}};
  add(app, "llm_processing.patch_fields", patch_step, take_patch, service, options);
  options.queue = "celery";
  options.max_retries = analyze_text_retries;
  options.params = {"text_content", "analysis_type", "task_id", "options"};
  options.defaults = {{"options", nullptr}};
  add(app, "process_text_analysis_async", analyze_step, take_analyze, service, options);
}

}  // namespace celeriac
