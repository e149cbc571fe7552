// The tasks of the differential tests. A Python worker defines them; results must not differ by a byte.
#include "conformance/numbers.hpp"
#include "conformance/tasks.hpp"
#include "protocol/body.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

namespace conformance {
namespace {

using celeriac::Context;
using celeriac::Json;
using celeriac::TaskError;

TaskError fuzz_error(Json args) { return TaskError("FuzzError", std::move(args), "fuzz_tasks"); }

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json echo(Context&, std::optional<Json> x) { return x.value_or(nullptr); }

Json add(Context&, Json x, Json y) {
  if (!is_number(x) || !is_number(y)) throw TaskError("TypeError", {"fuzz.add: not a number"});
  return python_add(x, y);
}

Json flat_sum(const Json& value) {
  if (is_number(value)) return value;
  Json sum = 0;
  if (value.is_array()) {
    for (const Json& item : value) sum = python_add(sum, flat_sum(item));
  }
  return sum;
}

Json total(Context&, std::optional<Json> values, Json scale) {
  return python_multiply(scale, flat_sum(values.value_or(nullptr)));
}

Json collect(Context&, const Json& args, const Json& kwargs) { return {{"args", args}, {"kwargs", kwargs}}; }

Json fail(Context&, const Json&, const Json& kwargs) {
  static constexpr std::string_view builtins[] = {"ValueError", "KeyError", "RuntimeError",     "TypeError",
                                                  "IndexError", "OSError",  "ZeroDivisionError"};
  const std::string kind = kwargs.value("kind", "FuzzError");
  const Json messages = kwargs.value("messages", Json::array({"fuzz failure"}));
  if (kind == "FuzzError") throw fuzz_error(messages);
  if (std::find(std::begin(builtins), std::end(builtins), kind) == std::end(builtins)) {
    throw TaskError("KeyError", {kind});
  }
  throw TaskError(kind, messages);
}

Json retry(Context& context, std::optional<Json> value, std::int64_t times, double countdown,
           std::optional<int> max_retries, std::string message) {
  if (context.retries() < times) {
    context.retry({.countdown = countdown, .max_retries = max_retries, .exc = fuzz_error({message})});
  }
  return Json::array({value.value_or(nullptr), context.retries()});
}

Json ids(Context& context, const Json&, const Json&) {
  return Json::array({context.task_id(), context.root_id(), text_or_null(context.parent_id()),
                      text_or_null(context.group())});
}

Json spawn(Context& context, const Json&, const Json& kwargs) {
  const std::int64_t n = kwargs.value("n", std::int64_t{1});
  const Json value = kwargs.value("value", Json(nullptr));
  const std::string text = value.is_string() ? value.get<std::string>()
                           : value.is_null() ? "None"
                                             : celeriac::dump_json(value);
  for (std::int64_t i = 0; i < n; ++i)
    context.send("fuzz.echo", Json::array({text + " " + std::to_string(i)}));
  return n;
}

Json sleep(Context& context, const Json&, const Json& kwargs) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(kwargs.value("seconds", 0.1));
  try {
    while (Clock::now() < end) {
      context.checkpoint();
      std::this_thread::sleep_for(
          std::min<std::chrono::duration<double>>(end - Clock::now(), std::chrono::milliseconds(10)));
    }
  } catch (const celeriac::SoftTimeLimitExceeded&) {
    if (!kwargs.value("guard", false)) throw;
    return "soft";
  }
  return kwargs.value("value", Json(nullptr));
}

Json control(Context&, const Json&, const Json& kwargs) {
  const std::string action = kwargs.value("action", "ignore");
  if (action == "ignore") throw celeriac::Ignore();
  if (action == "reject") throw celeriac::Reject{"fuzz", false};
  return action;
}

std::size_t length(const Json& embed, const char* key) {
  return embed.contains(key) && embed[key].is_array() ? embed[key].size() : 0;
}

// What the request carries.
Json headers(Context& context, const Json&, const Json&) {
  const auto& message = context.message();
  const Json raw = celeriac::parse_json(message.headers).value_or(Json::object());
  const auto body = celeriac::read_body(message, context.headers(), {"application/json"});
  const Json embed = body ? body->embed.json().value_or(Json::object()) : Json::object();
  const auto header = [&](const char* name) { return raw.contains(name) ? raw[name] : Json(nullptr); };
  return {
      {"retries", context.retries()},
      {"priority", message.properties.priority ? Json(*message.properties.priority) : Json(nullptr)},
      {"routing_key", message.properties.routing_key},
      {"redelivered", context.redelivered()},
      {"correlation_is_id", message.properties.correlation_id == context.task_id()},
      {"root_is_id", context.root_id() == context.task_id()},
      {"has_parent", !context.parent_id().empty()},
      {"group", text_or_null(context.group())},
      {"group_index", header("group_index")},
      {"timelimit", header("timelimit")},
      {"has_eta", context.headers().eta.has_value()},
      {"has_expires", context.headers().expires.has_value()},
      {"ignore_result", header("ignore_result")},
      {"shadow", header("shadow")},
      {"stamps", header("stamps")},
      {"stamped_headers", header("stamped_headers")},
      {"replaced_task_nesting", context.headers().replaced_task_nesting},
      {"custom", header("x-fuzz")},
      {"lang", header("lang")},
      {"argsrepr", header("argsrepr")},
      {"kwargsrepr", header("kwargsrepr")},
      {"callbacks", length(embed, "callbacks")},
      {"errbacks", length(embed, "errbacks")},
      {"has_chord", embed.contains("chord") && !embed["chord"].is_null()},
      {"chain", length(embed, "chain")},
  };
}

}  // namespace

void add_fuzz_tasks(celeriac::App& app) {
  app.task("fuzz.echo", echo, {.params = {"x"}});
  app.task("fuzz.add", add, {.params = {"x", "y"}});
  app.task("fuzz.total", total, {.params = {"values", "scale"}, .defaults = {{"scale", 1}}});
  app.raw_task("fuzz.collect", collect);
  app.raw_task("fuzz.fail", fail);
  app.task("fuzz.retry", retry,
           {.params = {"value", "times", "countdown", "max_retries", "message"},
            .defaults = {{"times", 1}, {"countdown", 0}, {"message", "again"}}});
  app.raw_task("fuzz.ids", ids);
  app.raw_task("fuzz.spawn", spawn);
  app.raw_task("fuzz.sleep", sleep);
  app.raw_task("fuzz.control", control);
  app.raw_task("fuzz.headers", headers);
}

}  // namespace conformance
