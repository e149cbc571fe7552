// Tasks of Celery's integration tests that compute, fail, sleep, or tell what they were called with.
#include "conformance/numbers.hpp"
#include "conformance/tasks.hpp"

#include <chrono>
#include <cstdio>
#include <fstream>
#include <thread>

namespace conformance {
namespace {

using celeriac::Context;
using celeriac::Json;
using celeriac::TaskError;

const std::string suite = "t.integration.tasks.";

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json identity(Context&, Json x) { return x; }

bool is_truthy(const Json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number()) return value.get<double>() != 0;
  return !value.empty() && value != "";
}

Json add(Context&, Json x, Json y, std::optional<Json> z) {
  Json sum = python_add(x, y);
  return z && is_truthy(*z) ? python_add(sum, *z) : sum;
}

Json add_two(Context&, Json x, Json y) { return python_add(x, y); }
Json mul(Context&, Json x, Json y) { return python_multiply(x, y); }

Json total(const std::vector<Json>& numbers) {
  Json sum = 0;
  for (const Json& number : numbers) sum = python_add(sum, number);
  return sum;
}

Json tsum(Context&, std::vector<Json> nums) { return total(nums); }

Json xsum(Context&, std::vector<Json> nums) {
  Json sum = 0;
  for (const Json& num : nums)
    sum = python_add(sum, num.is_array() ? total(num.get<std::vector<Json>>()) : num);
  return sum;
}

std::int64_t write_to_file(Context&, std::string file_name, std::int64_t i) {
  std::ofstream(file_name, std::ios::app) << i << '\n';
  return i;
}

Json raise_error(Context&, const Json&, const Json&) { throw TaskError("ValueError", {"deliberate error"}); }

Json fail(Context&, const Json& args, const Json&) {
  Json message = Json::array({"Task expected to fail"});
  message.insert(message.end(), args.begin(), args.end());
  throw TaskError("ExpectedException", std::move(message), "t.integration.tasks");
}

Json fail_unpickleable(Context&, Json foo, Json) {
  throw TaskError("UnpickleableException", Json::array({foo}), "t.integration.tasks");
}

// Sleeps in slices, so that a soft time limit is noticed.
void pause(Context& context, double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (Clock::now() < end) {
    context.checkpoint();
    std::this_thread::sleep_for(
        std::min<std::chrono::duration<double>>(end - Clock::now(), std::chrono::milliseconds(20)));
  }
}

Json delayed_sum(Context& context, std::vector<Json> numbers, double pause_time) {
  pause(context, pause_time);
  return total(numbers);
}

Json delayed_sum_guarded(Context& context, std::vector<Json> numbers, double pause_time) {
  try {
    pause(context, pause_time);
  } catch (const celeriac::SoftTimeLimitExceeded&) {
    return 0;
  }
  return total(numbers);
}

Json sleeping(Context& context, const Json& args, const Json& kwargs) {
  pause(context, args.empty() ? kwargs.value("i", 0.0) : args[0].get<double>());
  return nullptr;
}

Json print_unicode(Context& context, std::string log_message, std::string print_message) {
  context.log(3, log_message);
  std::printf("%s\n", print_message.c_str());
  return nullptr;
}

Json return_exception(Context&, Json e) { return Json::array({e, true}); }

Json id_list(const Context& context, const Json& i) {
  return Json::array({context.root_id(), text_or_null(context.parent_id()), i});
}
Json ids(Context& context, Json i) { return id_list(context, i); }
Json collect_ids(Context& context, Json res, Json i) { return Json::array({res, id_list(context, i)}); }

std::string return_priority(Context& context, const Json&, const Json&) {
  return "Priority: " + std::to_string(context.message().properties.priority.value_or(0));
}

Json return_properties(Context& context) {
  const auto& properties = context.message().properties;
  return {{"correlation_id", properties.correlation_id},
          {"reply_to", properties.reply_to},
          {"app_id", text_or_null(properties.app_id)},
          {"delivery_mode", properties.delivery_mode},
          {"priority", properties.priority.value_or(0)}};
}

bool replaced_with_me(Context&) { return true; }

Json add_pair(Context&, std::map<std::string, std::int64_t> data) {
  return {{"result", data.at("x") + data.at("y")}};
}

std::string ping(Context&) { return "pong"; }

}  // namespace

void add_suite_tasks(celeriac::App& app) {
  app.task(suite + "identity", identity, {.params = {"x"}});
  app.task(suite + "add", add, {.params = {"x", "y", "z"}});
  app.task(suite + "mul", mul, {.params = {"x", "y"}});
  app.task(suite + "add_not_typed", add_two, {.params = {"x", "y"}});
  app.task(suite + "add_ignore_result", add_two, {.params = {"x", "y"}, .ignore_result = true});
  app.task(suite + "tsum", tsum, {.params = {"nums"}});
  app.task(suite + "xsum", xsum, {.params = {"nums"}});
  app.task(suite + "write_to_file_and_return_int", write_to_file, {.params = {"file_name", "i"}});
  app.raw_task(suite + "raise_error", raise_error);
  app.raw_task(suite + "fail", fail);
  app.task(suite + "fail_unpickleable", fail_unpickleable, {.params = {"foo", "bar"}});
  app.task(suite + "delayed_sum", delayed_sum,
           {.params = {"numbers", "pause_time"}, .defaults = {{"pause_time", 1}}});
  app.task(suite + "delayed_sum_with_soft_guard", delayed_sum_guarded,
           {.params = {"numbers", "pause_time"}, .defaults = {{"pause_time", 1}}});
  app.raw_task(suite + "sleeping", sleeping);
  app.task(suite + "print_unicode", print_unicode,
           {.params = {"log_message", "print_message"},
            .defaults = {{"log_message", "hå it is a valmuefrø"}, {"print_message", "hiöäüß"}}});
  app.task(suite + "return_exception", return_exception, {.params = {"e"}});
  app.task(suite + "ids", ids, {.params = {"i"}});
  app.task(suite + "collect_ids", collect_ids, {.params = {"res", "i"}});
  app.raw_task(suite + "return_priority", return_priority);
  app.task(suite + "return_properties", return_properties);
  app.task(suite + "replaced_with_me", replaced_with_me);
  app.task(suite + "add_pydantic", add_pair, {.params = {"data"}});
  app.task(suite + "add_pydantic_string_annotations", add_pair, {.params = {"data"}});
  app.task("celery.ping", ping);
}

}  // namespace conformance
