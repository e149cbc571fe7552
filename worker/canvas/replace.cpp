#include "worker/canvas/replace.hpp"

#include "worker/canvas/plan.hpp"
#include "worker/canvas/signature.hpp"
#include "worker/errors.hpp"

#include <utility>

namespace celeriac {
namespace {

TaskError refused(const char* why) {
  Json args = Json::array();
  args.push_back(why);
  return TaskError("ImproperlyConfigured", std::move(args), "celery.exceptions");
}

}  // namespace

namespace canvas {

Json replacement(Json s, const TaskHeaders& task, const Json& embed,
                 const std::function<std::string()>& new_id) {
  if (s["options"].contains("chord"))
    throw refused("A signature replacing a task must not be part of a chord");
  if (kind_of(s) == Kind::chain && chain_tasks(s).empty())
    throw refused("Cannot replace with an empty chain");
  if (kind_of(s) == Kind::group) {
    Json index = Json::object();
    index["index"] = 0;
    s = make_chord(std::move(group_tasks(s)),
                   make_task("celery.accumulate", Json::array(), std::move(index)));
  }
  const auto each = [&](const char* name, auto&& act) {
    const auto found = embed.find(name);
    if (found == embed.end() || !found->is_array()) return;
    for (const Json& signature : *found) act(signature);
  };
  each("callbacks", [&](const Json& callback) { link(s, callback); });
  each("errbacks", [&](const Json& errback) { link_error(s, errback); });

  Sender sender;
  sender.new_id = new_id;
  Json place = Json::object();
  place["task_id"] = task.id;
  Plan(sender).freeze(s, place);

  const std::int64_t nesting = task.replaced_task_nesting + 1;
  Json& options = s["options"];
  if (const auto chord = embed.find("chord"); chord != embed.end() && chord->is_object())
    options["chord"] = *chord;
  if (!task.group.empty()) options["group_id"] = task.group;
  if (task.group_index) options["group_index"] = *task.group_index;
  options["replaced_task_nesting"] = nesting;
  const Json names = parse_json(task.stamped_headers).value_or(nullptr);
  if (names.is_array() && !options.contains("stamped_headers")) {
    const Json stamps = parse_json(task.stamps).value_or(Json::object());
    options["stamped_headers"] = names;
    for (const Json& name : names) {
      if (name.is_string() && stamps.contains(name.get<std::string>()))
        options[name.get<std::string>()] = stamps[name.get<std::string>()];
    }
  }
  if (kind_of(s) == Kind::chain) {
    for (Json& step : chain_tasks(s)) step["options"]["replaced_task_nesting"] = nesting;
  }
  const auto rest = embed.find("chain");
  if (rest == embed.end() || !rest->is_array() || rest->empty()) return s;
  Json steps = Json::array();
  steps.push_back(std::move(s));
  for (auto step = rest->rbegin(); step != rest->rend(); ++step) {
    steps.push_back(*step);
    steps.back()["options"]["replaced_task_nesting"] = nesting;
  }
  return make_chain(std::move(steps));
}

}  // namespace canvas

}  // namespace celeriac
