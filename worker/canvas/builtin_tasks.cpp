#include "worker/canvas/builtin_tasks.hpp"

#include "worker/canvas/signature.hpp"

#include <utility>

namespace celeriac::canvas {
namespace {

constexpr double chord_retry_interval = 1;  // seconds

// An argument by position or by name; null when it is not given.
Json argument(const Json& args, const Json& kwargs, std::size_t index, const char* name) {
  if (index < args.size()) return args[index];
  const auto found = kwargs.find(name);
  return found == kwargs.end() ? Json(nullptr) : *found;
}

Json required(const Json& args, const Json& kwargs, std::size_t index, const char* name) {
  if (index >= args.size() && !kwargs.contains(name))
    throw BadArguments(std::string("missing a required argument: '") + name + "'");
  return argument(args, kwargs, index, name);
}

Json checked(Json signature) {
  if (auto ok = check_signature(signature); !ok) throw BadArguments(ok.error().what);
  return signature;
}

Json list_argument(const Json& args, const Json& kwargs, std::size_t index, const char* name) {
  Json list = required(args, kwargs, index, name);
  if (!list.is_array()) throw BadArguments(std::string("'") + name + "' must be a list");
  return list;
}

Json accumulate(Context&, const Json& args, const Json& kwargs) {
  const auto index = kwargs.find("index");
  if (index == kwargs.end() || !index->is_number_integer()) return args;
  const auto at = index->get<std::int64_t>();
  const auto size = static_cast<std::int64_t>(args.size());
  if (at >= size || at < -size) throw TaskError("IndexError", Json::array({"list index out of range"}));
  return args[static_cast<std::size_t>(at < 0 ? at + size : at)];
}

// The task's function for each item, in this run.
template <bool starred>
Json map(Context& context, const Json& args, const Json& kwargs) {
  const Json task = checked(required(args, kwargs, 0, "task"));
  Json results = Json::array();
  for (const Json& item : list_argument(args, kwargs, 1, "it")) {
    context.checkpoint();
    Json call = task;
    Json partial = Json::array();
    if constexpr (starred) {
      if (!item.is_array()) throw BadArguments("an item of 'it' must be a list of arguments");
      partial = item;
    } else {
      partial.push_back(item);
    }
    merge(call, partial, Json::object(), Json::object());
    results.push_back(context.call(call["task"].get<std::string>(), call["args"], call["kwargs"]));
  }
  return results;
}

Json chunks(Context& context, const Json& args, const Json& kwargs) {
  const Json task = checked(required(args, kwargs, 0, "task"));
  const Json items = list_argument(args, kwargs, 1, "it");
  const Json n = required(args, kwargs, 2, "n");
  if (!n.is_number_integer() || n.get<std::int64_t>() < 1)
    throw BadArguments("'n' must be a positive integer");
  Json members = Json::array();
  for (std::size_t at = 0; at < items.size();) {
    Json part = Json::array();
    for (std::int64_t i = 0; i < n.get<std::int64_t>() && at < items.size(); ++i) part.push_back(items[at++]);
    Json given = Json::object();
    given["task"] = task;
    given["it"] = std::move(part);
    members.push_back(make_task("celery.starmap", Json::array(), std::move(given)));
  }
  return context.apply(Signature::read(make_group(std::move(members))));
}

Json group(Context& context, const Json& args, const Json& kwargs) {
  Json group = make_group(list_argument(args, kwargs, 0, "tasks"));
  const Json result = argument(args, kwargs, 1, "result");
  if (const Json id = argument(args, kwargs, 2, "group_id"); id.is_string()) group["options"]["task_id"] = id;
  if (const Json partial = argument(args, kwargs, 3, "partial_args"); partial.is_array())
    group["args"] = partial;
  Json sent = context.apply(Signature::read(std::move(group)));
  return result.is_null() ? sent : result;
}

Json chord(Context& context, const Json& args, const Json& kwargs) {
  Json chord = make_chord(required(args, kwargs, 0, "header"), required(args, kwargs, 1, "body"));
  if (const Json partial = argument(args, kwargs, 2, "partial_args"); partial.is_array())
    chord["args"] = partial;
  return context.apply(Signature::read(std::move(chord)));
}

Json chain(Context&, const Json&, const Json&) {
  throw TaskError("NotImplementedError", Json::array({"chain is not a real task"}));
}

// Looks once whether all parts of a chord are ready; comes again if not.
Json chord_unlock(Context& context, const Json& args, const Json& kwargs) {
  UnlockRequest request;
  const Json group_id = required(args, kwargs, 0, "group_id");
  if (!group_id.is_string()) throw BadArguments("'group_id' must be a text");
  request.group_id = group_id.get<std::string>();
  request.body = dump_json(required(args, kwargs, 1, "callback"));
  request.results = dump_json(list_argument(args, kwargs, 4, "result"));
  const std::string answer = context.ask(std::move(request));
  if (answer.empty()) return nullptr;
  if (answer != chord_not_ready) throw TaskError("RuntimeError", Json::array({answer}));
  RetryOptions again;
  const Json interval = argument(args, kwargs, 2, "interval");
  const Json max_retries = argument(args, kwargs, 3, "max_retries");
  again.countdown =
      interval.is_number() && interval.get<double>() > 0 ? interval.get<double>() : chord_retry_interval;
  if (max_retries.is_number_integer()) again.max_retries = max_retries.get<int>();
  context.retry(std::move(again));
}

Json backend_cleanup(Context& context, const Json&, const Json&) {
  const std::string error = context.ask(CleanupRequest{});
  if (!error.empty()) throw TaskError("RuntimeError", Json::array({error}));
  return nullptr;
}

}  // namespace

std::map<std::string, App::Task, std::less<>> builtin_tasks() {
  std::map<std::string, App::Task, std::less<>> tasks;
  const auto add = [&](const char* name, App::Body body, TaskOptions options = {}) {
    tasks.emplace(name, App::Task{name, std::move(options), std::move(body)});
  };
  add("celery.accumulate", accumulate);
  add("celery.backend_cleanup", backend_cleanup);
  add("celery.chain", chain);
  add("celery.chord", chord);
  add("celery.chord_unlock", chord_unlock,
      {.ignore_result = true, .max_retries = std::nullopt, .default_retry_delay = chord_retry_interval});
  add("celery.chunks", chunks);
  add("celery.group", group);
  add("celery.map", map<false>);
  add("celery.starmap", map<true>);
  return tasks;
}

}  // namespace celeriac::canvas
