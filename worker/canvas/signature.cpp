#include "worker/canvas/signature.hpp"

#include <array>
#include <utility>

namespace celeriac::canvas {
namespace {

// Members that every signature has, with what they are when missing.
const std::array<std::pair<const char*, Json>, 5>& members() {
  static const std::array<std::pair<const char*, Json>, 5> all{{{"args", Json::array()},
                                                                {"kwargs", Json::object()},
                                                                {"options", Json::object()},
                                                                {"subtask_type", nullptr},
                                                                {"immutable", false}}};
  return all;
}

Json signature(std::string_view name, Json args, Json kwargs, Json options, Json type) {
  Json s = Json::object();
  s["task"] = std::string(name);
  s["args"] = std::move(args);
  s["kwargs"] = std::move(kwargs);
  s["options"] = std::move(options);
  s["subtask_type"] = std::move(type);
  s["immutable"] = false;
  return s;
}

// The error of a part, as the whole tells it: the way to the part in front.
Expected<bool> at(std::string_view place, Expected<bool> part) {
  if (!part) part.error().what.insert(0, place);
  return part;
}

Expected<bool> check(Json& s, int depth);

Expected<bool> check_list(Json& list, int depth) {
  if (!list.is_array()) return unexpected(" is not a list");
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (auto ok = check(list[i], depth); !ok) return at("[" + std::to_string(i) + "]", std::move(ok));
  }
  return true;
}

Expected<bool> check(Json& s, int depth) {
  if (depth <= 0) return unexpected(" is nested too deeply");
  if (!s.is_object() || !s.contains("task") || !s["task"].is_string())
    return unexpected(" is no signature: it has no task name");
  for (const auto& [name, fallback] : members()) {
    if (Json& member = s[name]; member.is_null()) member = fallback;
  }
  if (!s["args"].is_array()) return unexpected(".args is not a list");
  if (!s["kwargs"].is_object()) return unexpected(".kwargs is not an object");
  Json& options = s["options"];
  if (!options.is_object()) return unexpected(".options is not an object");
  for (const char* name : {"link", "link_error", "chain"}) {
    const auto found = options.find(name);
    if (found == options.end() || found->is_null()) continue;
    if (found->is_object()) *found = list_option(s, name);
    if (auto ok = check_list(*found, depth - 1); !ok)
      return at(std::string(".options.") + name, std::move(ok));
  }
  if (const auto chord = options.find("chord"); chord != options.end() && !chord->is_null()) {
    if (auto ok = check(*chord, depth - 1); !ok) return at(".options.chord", std::move(ok));
  }
  switch (kind_of(s)) {
    case Kind::task:
      return true;
    case Kind::chain:
    case Kind::group:
      return at(".tasks", check_list(s["kwargs"]["tasks"], depth - 1));
    case Kind::chord:
      if (auto ok = check_list(chord_header(s), depth - 1); !ok) return at(".header", std::move(ok));
      return at(".body", check(chord_body(s), depth - 1));
  }
  return true;
}

void append(Json& s, const char* option, const Json& callback) {
  Json& list = s["options"][option];
  if (list.is_null()) list = Json::array();
  if (list.is_object()) {
    Json one = std::move(list);
    list = Json::array();
    list.push_back(std::move(one));
  }
  for (const Json& known : list) {
    if (known == callback) return;
  }
  list.push_back(callback);
}

bool stays(const Json& stored, const std::string& name) {
  if (!stored.contains(name)) return false;
  if (name == "group_id" || name == "stamped_headers") return true;
  const auto stamps = stored.find("stamped_headers");
  if (stamps == stored.end() || !stamps->is_array()) return false;
  for (const Json& stamp : *stamps) {
    if (stamp.is_string() && stamp.get_ref<const std::string&>() == name) return true;
  }
  return false;
}

}  // namespace

Kind kind_of(const Json& s) {
  const auto type = s.find("subtask_type");
  if (type == s.end() || !type->is_string()) return Kind::task;
  const auto& name = type->get_ref<const std::string&>();
  if (name == "chain") return Kind::chain;
  if (name == "group") return Kind::group;
  if (name == "chord") return Kind::chord;
  return Kind::task;  // xmap, xstarmap, chunks: plain tasks of the worker
}

Expected<bool> check_signature(Json& s, int max_depth) {
  try {
    return at("signature", check(s, max_depth));
  } catch (const Json::exception& error) {  // a part of a composition that is no container
    return unexpected(std::string("signature: ") + error.what());
  }
}

Json& chain_tasks(Json& chain) { return chain["kwargs"]["tasks"]; }
Json& group_tasks(Json& group) { return group["kwargs"]["tasks"]; }

Json& chord_header(Json& chord) {
  Json& header = chord["kwargs"]["header"];
  if (header.is_object() && kind_of(header) == Kind::group) return group_tasks(header);
  return header;
}

Json& chord_body(Json& chord) { return chord["kwargs"]["body"]; }

Json make_task(std::string_view name, Json args, Json kwargs, Json options) {
  return signature(name, std::move(args), std::move(kwargs), std::move(options), nullptr);
}

Json make_chain(Json tasks) {
  Json kwargs = Json::object();
  kwargs["tasks"] = std::move(tasks);
  return signature("celery.chain", Json::array(), std::move(kwargs), Json::object(), "chain");
}

Json make_group(Json tasks) {
  Json kwargs = Json::object();
  kwargs["tasks"] = std::move(tasks);
  return signature("celery.group", Json::array(), std::move(kwargs), Json::object(), "group");
}

Json make_chord(Json header, Json body) {
  Json kwargs = Json::object();
  kwargs["kwargs"] = Json::object();
  kwargs["header"] = std::move(header);
  kwargs["body"] = std::move(body);
  return signature("celery.chord", Json::array(), std::move(kwargs), Json::object(), "chord");
}

void merge(Json& s, const Json& args, const Json& kwargs, Json options) {
  Json& stored = s["options"];
  for (auto& [name, value] : options.get_ref<Json::object_t&>()) {
    if (!value.is_null() && !stays(stored, name)) stored[name] = std::move(value);
  }
  if (s["immutable"] == true) return;
  if (!args.empty()) {
    Json all = args;
    for (Json& own : s["args"]) all.push_back(std::move(own));
    s["args"] = std::move(all);
  }
  for (const auto& [name, value] : kwargs.items()) s["kwargs"][name] = value;
}

void link(Json& s, const Json& callback) {
  switch (kind_of(s)) {
    case Kind::chord:
      return link(chord_body(s), callback);
    case Kind::group: {
      if (group_tasks(s).empty()) return;
      Json plain = callback;
      plain["immutable"] = true;
      return link(group_tasks(s)[0], plain);
    }
    case Kind::task:
    case Kind::chain:
      return append(s, "link", callback);
  }
}

void link_error(Json& s, const Json& errback) {
  switch (kind_of(s)) {
    case Kind::chord:
      for (Json& member : chord_header(s)) {
        if (kind_of(member) == Kind::chord) link_error(member, errback);
      }
      return link_error(chord_body(s), errback);
    case Kind::group:
      for (Json& member : group_tasks(s)) link_error(member, errback);
      return;
    case Kind::task:
    case Kind::chain:
      return append(s, "link_error", errback);
  }
}

Json list_option(const Json& s, const char* name) {
  const auto options = s.find("options");
  if (options == s.end() || !options->is_object()) return Json::array();
  const auto found = options->find(name);
  if (found == options->end() || found->is_null()) return Json::array();
  if (found->is_array()) return *found;
  Json list = Json::array();
  list.push_back(*found);
  return list;
}

std::string text_option(const Json& s, const char* name) {
  const auto options = s.find("options");
  if (options == s.end() || !options->is_object()) return {};
  const auto found = options->find(name);
  return found != options->end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::int64_t chord_size(const Json& s) {
  Json& open = const_cast<Json&>(s);  // only read: the accessors find parts of a mutable signature too
  switch (kind_of(s)) {
    case Kind::task:
      return 1;
    case Kind::group: {
      std::int64_t sum = 0;
      for (const Json& member : group_tasks(open)) sum += chord_size(member);
      return sum;
    }
    case Kind::chain: {
      const Json& steps = chain_tasks(open);
      for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
        if (const auto size = chord_size(*step); size > 0) return size;
      }
      return 0;
    }
    case Kind::chord:
      return chord_size(chord_body(open));
  }
  return 1;
}

}  // namespace celeriac::canvas
