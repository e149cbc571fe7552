#include "worker/canvas/plan.hpp"

#include "worker/canvas/signature.hpp"
#include "worker/outgoing.hpp"

#include <algorithm>
#include <utility>

namespace celeriac::canvas {
namespace {

Json take(Json& options, const char* name) {
  const auto found = options.find(name);
  if (found == options.end()) return nullptr;
  Json value = std::move(*found);
  options.erase(found);
  return value;
}

std::string text(const Json& value) { return value.is_string() ? value.get<std::string>() : std::string(); }

Json group_tuple(const Json& id, Json members) {
  Json tuple = Json::array();
  tuple.push_back(Json::array({id, nullptr}));
  tuple.push_back(std::move(members));
  return tuple;
}

// The first result of a chain gets `parent` as the one before it.
void set_root_parent(Json& result, const Json& parent) {
  Json* node = &result;
  while (!(*node)[0][1].is_null()) node = &(*node)[0][1];
  (*node)[0][1] = parent;
}

bool is_group_result(const Json& result) { return !result[1].is_null(); }

// The steps of a chain inside a chain, which takes over what the inner one was linked with.
Json opened(Json& chain) {
  Json steps = std::move(chain_tasks(chain));
  if (steps.empty()) return steps;
  merge(steps[0], chain["args"], Json::object(), Json::object());
  for (const Json& callback : list_option(chain, "link")) link(steps.back(), callback);
  for (const Json& errback : list_option(chain, "link_error")) {
    for (Json& step : steps) link_error(step, errback);
  }
  return steps;
}

// What a composition hands on to the message that starts it.
Json with_chain(Json options, Json tasks) {
  Json chain = take(options, "chain");
  if (!chain.is_array()) chain = Json::array();
  for (Json& task : tasks) chain.push_back(std::move(task));
  options["chain"] = std::move(chain);
  return options;
}

Json merged(Json stored, Json options) {
  Json carrier = make_task("", Json::array(), Json::object(), std::move(stored));
  merge(carrier, Json::array(), Json::object(), std::move(options));
  return std::move(carrier["options"]);
}

}  // namespace

Json Plan::apply(Json signature, const Json& args, const Json& kwargs, Json options) {
  return apply_any(std::move(signature), args, kwargs, std::move(options), true);
}

Json Plan::apply_any(Json s, const Json& args, const Json& kwargs, Json options, bool to_children) {
  switch (kind_of(s)) {
    case Kind::task:
      merge(s, args, kwargs, std::move(options));
      return apply_task(std::move(s), to_children);
    case Kind::chain:
      return apply_chain(std::move(s), args, kwargs, std::move(options), to_children);
    case Kind::group:
      return apply_group(std::move(s), args, kwargs, std::move(options), to_children);
    case Kind::chord:
      return apply_chord(std::move(s), args, kwargs, std::move(options), to_children);
  }
  return nullptr;
}

Json Plan::apply_step(Json task, const Json& args, std::string later) {
  merge(task, args, Json::object(), Json::object());
  return apply_task(std::move(task), true, std::move(later));
}

Json Plan::apply_task(Json s, bool to_children, std::string chain) {
  if (text_option(s, "task_id").empty()) s["options"]["task_id"] = sender_.new_id();
  const std::string id = text_option(s, "task_id");
  steps_.push_back(task_message(std::move(s), sender_, std::move(chain)));
  if (to_children) children_.push_back(result_tuple(id));
  return result_tuple(id);
}

Json Plan::apply_chain(Json chain, const Json& args, const Json& kwargs, Json options, bool to_children) {
  options = merged(std::move(chain["options"]), std::move(options));
  Json place = Json::object();
  for (const char* name : {"group_id", "chord", "task_id", "root_id", "group_index"})
    place[name] = take(options, name);
  Json linked = Json::object();
  linked["options"] = Json::object();
  for (const char* name : {"link", "link_error"}) linked["options"][name] = take(options, name);
  take(options, "parent_id");  // the step that is sent has the sender as its parent

  Json first_args = chain["args"];
  if (chain["immutable"] != true) {
    first_args = args;
    for (const Json& own : chain["args"]) first_args.push_back(own);
  }
  Prepared prepared = prepare_chain(std::move(chain_tasks(chain)), first_args, kwargs, place,
                                    list_option(linked, "link_error"));
  if (prepared.tasks.empty()) return prepared.result;
  for (const Json& callback : list_option(linked, "link")) link(prepared.tasks[0], callback);
  Json first = std::move(prepared.tasks.back());
  prepared.tasks.erase(prepared.tasks.size() - 1);
  Json root = place["root_id"];
  options = with_chain(std::move(options), std::move(prepared.tasks));
  if (!root.is_null()) options["root_id"] = std::move(root);
  apply_any(std::move(first), Json::array(), Json::object(), std::move(options), to_children);
  return prepared.result;
}

Plan::Prepared Plan::prepare_chain(Json steps, const Json& args, const Json& kwargs, const Json& place,
                                   const Json& errbacks) {
  Prepared out{Json::array(), nullptr};
  Json root_only = Json::object();
  root_only["root_id"] = place.value("root_id", Json());
  Json results = Json::array();  // beside out.tasks
  bool last = true;
  while (!steps.empty()) {
    Json task = std::move(steps.back());
    steps.erase(steps.size() - 1);
    if (steps.empty()) merge(task, args, kwargs, Json::object());
    if (kind_of(task) == Kind::chain) {
      for (Json& step : opened(task)) steps.push_back(std::move(step));
      continue;
    }
    if (kind_of(task) == Kind::group && !out.tasks.empty()) {  // group | task is a chord
      Json body = std::move(out.tasks.back());
      out.tasks.erase(out.tasks.size() - 1);
      results.erase(results.size() - 1);
      last = out.tasks.empty();
      task = make_chord(std::move(group_tasks(task)), std::move(body));
    }
    results.push_back(freeze(task, last ? place : root_only));
    last = false;
    for (const Json& errback : errbacks) link_error(task, errback);
    out.tasks.push_back(std::move(task));
  }
  for (auto result = results.rbegin(); result != results.rend(); ++result) {
    if (!out.result.is_null()) set_root_parent(*result, out.result);
    out.result = std::move(*result);
  }
  return out;
}

Json Plan::flatten(Json members) const {
  Json flat = Json::array();
  for (Json& member : members) {
    if (kind_of(member) == Kind::group) {
      Json inner = flatten(std::move(group_tasks(member)));
      for (Json& task : inner) {
        merge(task, member["args"], Json::object(), Json::object());
        flat.push_back(std::move(task));
      }
    } else {
      flat.push_back(std::move(member));
    }
  }
  return flat;
}

Json Plan::freeze(Json& s, const Json& place) {
  switch (kind_of(s)) {
    case Kind::task:
      return freeze_task(s, place);
    case Kind::chain: {
      Prepared prepared =
          prepare_chain(std::move(chain_tasks(s)), s["args"], Json::object(), place, Json::array());
      Json in_order = Json::array();
      for (auto task = prepared.tasks.rbegin(); task != prepared.tasks.rend(); ++task)
        in_order.push_back(std::move(*task));
      chain_tasks(s) = std::move(in_order);
      s["args"] = Json::array();
      return prepared.result;
    }
    case Kind::group:
      return freeze_group(s, place);
    case Kind::chord: {
      Json header = make_group(flatten(std::move(chord_header(s))));
      Json inner = Json::object();
      inner["root_id"] = place.value("root_id", Json());
      inner["task_id"] = text_option(s, "task_id");
      const Json header_result = freeze_group(header, inner);
      s["options"]["task_id"] = header_result[0][0];
      // A group, not a list: Celery 5.2 takes the id of the parts' group from there only.
      header["options"] = Json::object();
      header["options"]["task_id"] = header_result[0][0];
      s["kwargs"]["header"] = std::move(header);
      Json result = freeze(chord_body(s), place);
      set_root_parent(result, header_result);
      return result;
    }
  }
  return nullptr;
}

Json Plan::freeze_task(Json& s, const Json& place) {
  Json& options = s["options"];
  if (text_option(s, "task_id").empty()) {
    const std::string given = text(place.value("task_id", Json()));
    options["task_id"] = given.empty() ? sender_.new_id() : given;
  }
  // In the order in which Celery writes them.
  const auto take_over = [&](const char* name) {
    if (const auto value = place.find(name); value != place.end() && !value->is_null())
      options[name] = *value;
  };
  take_over("root_id");
  if (!options.contains("reply_to") && !sender_.reply_to.empty()) options["reply_to"] = sender_.reply_to;
  if (!options.contains("group_id")) take_over("group_id");
  take_over("chord");
  take_over("group_index");
  return result_tuple(text(options["task_id"]));
}

Json Plan::freeze_group(Json& group, const Json& place) {
  Json& options = group["options"];
  const std::string outer = text(place.value("group_id", Json()));
  if (text_option(group, "task_id").empty()) {
    const std::string given = text(place.value("task_id", Json()));
    options["task_id"] = !given.empty() ? given : !outer.empty() ? outer : sender_.new_id();
  }
  Json inner = Json::object();
  for (const char* name : {"root_id", "chord"}) inner[name] = place.value(name, Json());
  // Members of a group inside a chord's header are parts of that chord. The others get their group when they
  // are sent: a Celery 5.2 that sends them keeps the id that it finds here, beside the one it counts with.
  inner["group_id"] = outer.empty() ? Json(nullptr) : Json(outer);
  Json members = flatten(std::move(group_tasks(group)));
  Json results = Json::array();
  std::int64_t index = 0;
  for (Json& member : members) {
    inner["group_index"] = index++;
    results.push_back(freeze(member, inner));
  }
  group_tasks(group) = std::move(members);
  return group_tuple(options["task_id"], std::move(results));
}

Json Plan::apply_group(Json group, const Json& args, const Json& kwargs, Json options, bool to_children) {
  Json own_args = args;
  for (const Json& own : group["args"]) own_args.push_back(own);
  options = merged(std::move(group["options"]), std::move(options));
  Json id = take(options, "task_id");
  if (text(id).empty()) id = sender_.new_id();
  group["options"] = Json::object();
  group["options"]["task_id"] = id;
  Json place = Json::object();
  place["root_id"] = options.value("root_id", Json());
  Json result = freeze_group(group, place);
  const Json outer_chord = take(options, "chord");
  options["group_id"] = id;
  take(options, "group_index");

  Json& members = group_tasks(group);
  std::int64_t size = 0;
  for (std::size_t i = 0; i < members.size(); ++i) {
    Json& member = members[i];
    Json own = options;
    // freeze() has put the chord where a member that is a composition keeps it; the last message of a chord's
    // header may leave only when the store knows how many parts there are.
    const Json chord = !outer_chord.is_null() ? outer_chord : member["options"].value("chord", Json());
    size += chord_size(member);
    if (!chord.is_null()) {
      own["chord"] = chord;
      if (i + 1 == members.size() && sender_.native_chords) steps_.push_back(ChordSize{text(id), size});
    }
    own["group_index"] = i;
    apply_any(std::move(member), own_args, kwargs, std::move(own), false);
  }
  if (to_children) children_.push_back(result);
  return result;
}

Json Plan::apply_chord(Json chord, const Json& args, const Json& kwargs, Json options, bool to_children) {
  Json body = chord_body(chord);
  Json header = make_group(flatten(std::move(chord_header(chord))));
  Json partial = chord["args"];
  if (chord["immutable"] != true) {
    partial = args;
    for (const Json& own : chord["args"]) partial.push_back(own);
  }
  Json stored = std::move(chord["options"]);
  const Json header_id = take(stored, "task_id");
  const Json task_id = take(options, "task_id");
  options = merged(std::move(stored), std::move(options));
  const std::string group_id = text(header_id).empty() ? sender_.new_id() : text(header_id);

  // What follows the chord follows its body; so do its errbacks and its own place in an outer composition.
  merge(body, Json::array(), Json::object(), options);
  Json place = Json::object();
  place["task_id"] = task_id;
  place["group_id"] = group_id;
  place["root_id"] = body["options"].value("root_id", Json());
  Json body_result = freeze(body, place);

  for (const char* name : {"chain", "chord", "task_id", "link", "link_error", "group_id", "group_index"})
    take(options, name);
  if (group_tasks(header).empty()) {
    apply_any(std::move(body), Json::array({Json::array()}), Json::object(), Json::object(), to_children);
    return body_result;
  }
  Json members = Json::object();
  members["task_id"] = group_id;
  if (sender_.native_chords) members["chord"] = body;
  members["root_id"] = place["root_id"];
  const Json header_result = freeze_group(header, members);
  if (!sender_.native_chords) {
    unlock_chord(group_id, header_result[1], body);
  } else if (std::any_of(header_result[1].begin(), header_result[1].end(), is_group_result)) {
    steps_.push_back(SaveGroup{group_id, header_result});
  }
  options["task_id"] = group_id;
  if (sender_.native_chords) options["chord"] = body;
  Json header_kwargs = chord["kwargs"].value("kwargs", Json::object());
  for (const auto& [name, value] : kwargs.items()) header_kwargs[name] = value;
  apply_group(std::move(header), partial, header_kwargs, std::move(options), to_children);
  set_root_parent(body_result, header_result);
  return body_result;
}

void Plan::unlock_chord(const std::string& group_id, const Json& results, const Json& body) {
  Json kwargs = Json::object();
  kwargs["interval"] = nullptr;
  kwargs["max_retries"] = nullptr;
  kwargs["result"] = results;
  Json options = Json::object();
  options["countdown"] = sender_.chord_retry_interval;
  options["ignore_result"] = true;
  for (const char* name : {"queue", "priority"}) {
    if (const auto value = body["options"].find(name); value != body["options"].end()) options[name] = *value;
  }
  Json args = Json::array();
  args.push_back(group_id);
  args.push_back(body);
  apply_task(make_task("celery.chord_unlock", std::move(args), std::move(kwargs), std::move(options)), false);
}

}  // namespace celeriac::canvas
