#include "http/live_workers.hpp"

namespace celeriac::http {
namespace {

std::string text(const Json& event, const char* name) {
  const auto found = event.find(name);
  return found != event.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::int64_t number(const Json& event, const char* name) {
  const auto found = event.find(name);
  return found != event.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

}  // namespace

void LiveWorkers::on_message(const Message& message, double now) {
  const auto body = parse_json(message.body, {1u << 20, 16});
  if (!body) return;  // somebody else's message: the broadcast belongs to everybody
  if (body->is_object()) return on_event(*body, now);
  if (!body->is_array()) return;
  for (const auto& event : *body)
    if (event.is_object()) on_event(event, now);
}

void LiveWorkers::on_event(const Json& event, double now) {
  const auto name = text(event, "hostname"), type = text(event, "type");
  if (name.empty() || name.size() > 255) return;
  if (type == "worker-offline") {
    workers_.erase(name);
    return;
  }
  if (type != "worker-online" && type != "worker-heartbeat") return;
  if (workers_.size() >= most && !workers_.contains(name)) return;
  workers_[name] = {name, text(event, "sw_ident") + " " + text(event, "sw_ver"), number(event, "active"),
                    number(event, "processed"), now};
}

std::vector<LiveWorker> LiveWorkers::list(double now) {
  std::erase_if(workers_, [&](const auto& entry) { return now - entry.second.seen > patience; });
  std::vector<LiveWorker> out;
  for (const auto& [name, worker] : workers_) out.push_back(worker);
  return out;
}

}  // namespace celeriac::http
