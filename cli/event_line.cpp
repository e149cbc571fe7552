#include "cli/event_line.hpp"

#include "protocol/repr.hpp"
#include "protocol/time.hpp"

#include <algorithm>
#include <map>

namespace celeriac {
namespace {

constexpr std::size_t most_remembered = 4095;

// str() in Python.
std::string shown(const Json& value) {
  return value.is_string() ? value.get<std::string>() : python_repr(value, 0);
}

std::string human_type(std::string type) {
  if (type == "worker-offline") return "shutdown";
  if (type == "worker-online") return "started";
  if (type == "worker-heartbeat") return "heartbeat";
  std::replace(type.begin(), type.end(), '-', ' ');
  return type;
}

std::string take(std::map<std::string, Json>& fields, const std::string& name) {
  const auto found = fields.find(name);
  if (found == fields.end()) return {};
  std::string text = shown(found->second);
  fields.erase(found);
  return text;
}

}  // namespace

std::string EventLines::line(const Json& event) {
  std::map<std::string, Json> fields;
  for (const auto& [name, value] : event.items()) fields[name] = value;
  double seconds = 0;
  if (const auto at = fields.find("timestamp"); at != fields.end() && at->second.is_number()) {
    seconds = at->second.get<double>();
  }
  fields.erase("timestamp");
  std::string when = format_iso8601(seconds);
  std::replace(when.begin(), when.end(), 'T', ' ');
  const std::string type = take(fields, "type"), host = take(fields, "hostname");

  std::string task;
  const bool of_task = type.rfind("task-", 0) == 0;
  if (of_task) {
    const std::string uuid = take(fields, "uuid");
    if (type == "task-received" || type == "task-sent") {
      task = take(fields, "name") + "(" + uuid + ")";
      task += " args=" + take(fields, "args");
      task += " kwargs=" + take(fields, "kwargs");
      remember(uuid, task);
    } else if (const auto known = tasks_.find(uuid); known != tasks_.end()) {
      task = known->second;
    }
  }
  std::string rest;
  for (const auto& [name, value] : fields) rest += (rest.empty() ? "" : ", ") + name + "=" + shown(value);
  std::string out = host + " [" + when + "] " + human_type(type) + (rest.empty() ? "" : ":") + " ";
  if (of_task) out += task + " ";
  return out + rest;
}

void EventLines::remember(const std::string& uuid, std::string description) {
  if (tasks_.insert_or_assign(uuid, std::move(description)).second) order_.push_back(uuid);
  while (order_.size() > most_remembered) {
    tasks_.erase(order_.front());
    order_.pop_front();
  }
}

}  // namespace celeriac
