#include "worker/control/task_info.hpp"

#include "protocol/body.hpp"
#include "worker/control/stamps.hpp"

#include <algorithm>

namespace celeriac {
namespace {

// Arguments beyond this are shown as their reprs: a reply must not be as large as all the work.
constexpr std::size_t most_argument_bytes = 256 * 1024;

struct Shown {
  Json args, kwargs;
};

Shown arguments(const Message& message, const TaskHeaders& headers, const TaskInfoOptions& options) {
  if (!options.safe && !message.body.empty() && message.body.size() <= most_argument_bytes) {
    if (auto body = read_body(message, headers, *options.accept)) {
      return {std::move(body->args), std::move(body->kwargs)};
    }
  }
  if (message.body.empty()) return {headers.argsrepr, headers.kwargsrepr};
  ArgumentReprs reprs = argument_reprs(message, headers, *options.accept);
  return {std::move(reprs.args), std::move(reprs.kwargs)};
}

Json describe(const Message& message, const TaskHeaders& headers, const std::string& queue, bool redelivered,
              const TaskInfoOptions& options) {
  Shown shown = arguments(message, headers, options);
  Json info = Json::object();
  info["id"] = headers.id;
  info["name"] = headers.display_name();
  info["args"] = std::move(shown.args);
  info["kwargs"] = std::move(shown.kwargs);
  info["type"] = headers.task;
  info["hostname"] = options.node;
  info["time_start"] = nullptr;
  info["acknowledged"] = false;
  const Properties& p = message.properties;
  info["delivery_info"] = {{"exchange", p.exchange},
                           {"routing_key", p.routing_key.empty() ? queue : p.routing_key},
                           {"priority", p.priority ? Json(*p.priority) : Json(nullptr)},
                           {"redelivered", redelivered}};
  info["worker_pid"] = nullptr;
  return info;
}

std::string stamp_text(const Json& value) {
  return value.is_string() ? value.get<std::string>() : dump_json(value);
}

}  // namespace

Json task_info(const Request& request, const TaskInfoOptions& options) {
  Json info = describe(*request.message, *request.headers, request.queue, request.redelivered, options);
  if (request.started_at > 0) info["time_start"] = request.started_at;
  info["acknowledged"] = request.settled;
  if (request.pid != 0) info["worker_pid"] = request.pid;
  return info;
}

Json task_info(const Consumer::Scheduled& scheduled, const TaskInfoOptions& options) {
  return describe(*scheduled.message, *scheduled.headers, scheduled.queue,
                  scheduled.message->properties.redelivered, options);
}

Stamps read_stamps(std::string_view json) {
  Stamps stamps;
  if (json.empty()) return stamps;
  const auto object = parse_json(json);
  if (!object || !object->is_object()) return stamps;
  for (const auto& [header, value] : object->items()) {
    std::vector<std::string>& values = stamps[header];
    if (!value.is_array()) {
      values.push_back(stamp_text(value));
      continue;
    }
    for (const Json& one : value) values.push_back(stamp_text(one));
  }
  return stamps;
}

bool stamp_matches(std::string_view task_stamps_json, const Stamps& wanted) {
  if (task_stamps_json.empty() || task_stamps_json == "{}") return false;
  for (const auto& [header, values] : read_stamps(task_stamps_json)) {
    const auto found = wanted.find(header);
    if (found == wanted.end()) continue;
    const auto is_wanted = [&](const std::string& value) {
      return std::find(found->second.begin(), found->second.end(), value) != found->second.end();
    };
    if (std::any_of(values.begin(), values.end(), is_wanted)) return true;
  }
  return false;
}

}  // namespace celeriac
