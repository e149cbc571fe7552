#include "worker/events/gossip.hpp"

#include <algorithm>

namespace celeriac {
namespace {

constexpr std::size_t most_nodes = 10000, most_elections = 1000, most_proposals = 10000, most_text = 1u << 20;
constexpr double heartbeat_window = 2;  // Celery's 200 %

std::string text(const Json& event, const char* name) {
  const auto found = event.find(name);
  return found != event.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string quoted(const std::string& text) {
  std::string out;
  dump_json_string(text, out);
  return out;
}

}  // namespace

void Gossip::on_event(const Json& event, double now) {
  if (!event.is_object()) return;
  const std::string type = text(event, "type"), host = text(event, "hostname");
  if (host.empty()) return;
  if (type == "worker-elect") return on_elect(event);
  if (type == "worker-elect-ack") return on_acknowledged(text(event, "id"));
  if (type == "worker-offline") {
    if (nodes_.erase(host) > 0 && host != node_) outlet_.debug(host + " left");
    return;
  }
  if (type != "worker-online" && type != "worker-heartbeat") return;
  if (nodes_.count(host) == 0) {
    if (nodes_.size() >= most_nodes) return;
    if (host != node_) outlet_.debug(host + " joined the party");
  }
  Node& node = nodes_[host];
  node.seen = now;
  if (const auto every = event.find("freq"); every != event.end() && every->is_number()) {
    node.every = std::clamp(every->get<double>(), 0.1, 3600.0);
  }
}

void Gossip::look_for_silent(double now) {
  std::erase_if(nodes_, [&](const auto& entry) {
    const bool silent =
        entry.first != node_ && now > entry.second.seen + entry.second.every * heartbeat_window;
    if (silent) outlet_.info("missed heartbeat from " + entry.first);
    return silent;
  });
}

Gossip::Election& Gossip::election(const std::string& id) {
  const auto [at, fresh] = elections_.try_emplace(id);
  if (fresh) order_.push_back(id);
  while (order_.size() > most_elections) {
    if (order_.front() == id) break;
    elections_.erase(order_.front());
    order_.pop_front();
  }
  return at->second;
}

void Gossip::elect(const std::string& id, const std::string& topic, const Json& action) {
  Election& ours = election(id);
  ours.ours = true;
  ours.acknowledged = 0;
  outlet_.send("worker-elect",
               {{"id", quoted(id)}, {"topic", quoted(topic)}, {"action", dump_json(action)}, {"cver", "1"}});
}

void Gossip::on_elect(const Json& event) {
  const std::string id = text(event, "id"), topic = text(event, "topic"), host = text(event, "hostname");
  const auto clock = event.find("clock"), pid = event.find("pid"), action = event.find("action");
  if (id.empty() || topic.empty() || clock == event.end() || !clock->is_number_unsigned() ||
      pid == event.end() || !pid->is_number_integer()) {
    return outlet_.info("election request of " + host + " lacks a field");
  }
  std::string what = action == event.end() ? "null" : dump_json(*action);
  if (what.size() > most_text) return outlet_.info("election request of " + host + " is too large");
  Election& asked = election(id);
  if (asked.proposals.size() >= most_proposals) return;
  asked.proposals.emplace(clock->get<std::uint64_t>(), host + "." + std::to_string(pid->get<std::int64_t>()),
                          topic, std::move(what));
  outlet_.send("worker-elect-ack", {{"id", quoted(id)}});
}

void Gossip::on_acknowledged(const std::string& id) {
  const auto found = elections_.find(id);
  if (found == elections_.end() || !found->second.ours) return;
  Election& held = found->second;
  // One node alone elects itself; Celery's worker would die of it.
  if (++held.acknowledged < std::max<std::size_t>(1, nodes_.size()) || held.proposals.empty()) return;
  const auto [clock, leader, topic, action] = *held.proposals.begin();
  elections_.erase(found);
  std::erase(order_, id);
  if (leader != self_) return outlet_.info("node " + leader + " elected for '" + id + "'");
  outlet_.info("I won the election '" + id + "'");
  outlet_.win(topic, parse_json(action).value_or(nullptr));
}

}  // namespace celeriac
