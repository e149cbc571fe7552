#include "http/live_workers.hpp"

namespace celeriac::http {
namespace {

std::string text(const Json& event, const char* name) {
  const auto found = event.find(name);
  return found != event.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::int64_t whole_number(const Json& event, const char* name) {
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
  auto& worker = workers_[name];
  worker.name = name;
  worker.software = text(event, "sw_ident") + " " + text(event, "sw_ver");
  worker.active = whole_number(event, "active");
  worker.processed = whole_number(event, "processed");
  worker.seen = now;
}

void LiveWorkers::on_queues(const std::string& node, const Json& answer) {
  const auto worker = workers_.find(node);
  if (worker == workers_.end() || !answer.is_array() || answer.size() > most_queues) return;
  std::vector<std::string> queues;
  for (const auto& queue : answer)
    if (queue.is_object()) queues.push_back(text(queue, "name"));
  worker->second.queues = std::move(queues);
}

std::vector<LiveWorker> LiveWorkers::list(double now) {
  std::erase_if(workers_, [&](const auto& entry) { return now - entry.second.seen > patience; });
  std::vector<LiveWorker> out;
  for (const auto& [name, worker] : workers_) out.push_back(worker);
  return out;
}

}  // namespace celeriac::http
