#include "cli/cluster_view.hpp"

#include "cli/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace celeriac {
namespace {

constexpr std::size_t most_tasks = 20000, most_nodes = 1000, most_text = 120;
constexpr int window = 10;              // seconds that the rates are taken over
constexpr double heartbeat_window = 2;  // intervals without a sign of life: Celery's 200 %

std::string text(const Json& event, const char* key) {
  const auto found = event.find(key);
  std::string out = found != event.end() && found->is_string() ? found->get<std::string>() : std::string();
  if (out.size() > most_text) out.resize(most_text);
  // Names come from anybody who can reach the broker: they must not steer the terminal.
  std::erase_if(out, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  return out;
}

double number(const Json& event, const char* key, double otherwise) {
  const auto found = event.find(key);
  return found != event.end() && found->is_number() ? found->get<double>() : otherwise;
}

std::string duration(double seconds) {
  if (seconds < 100) return fmt::format("{:.1f}s", std::max(0.0, seconds));
  if (seconds < 6000) return fmt::format("{:.0f}m", seconds / 60);
  return fmt::format("{:.1f}h", seconds / 3600);
}

void append(std::vector<std::string>& out, const Table& table, std::size_t width, bool colour,
            std::size_t most) {
  const std::string whole = table.text(width, colour);
  std::size_t at = 0, taken = 0;
  while (at < whole.size() && taken++ < most) {
    const std::size_t end = std::min(whole.find('\n', at), whole.size());
    out.push_back(whole.substr(at, end - at));
    at = end + 1;
  }
}

}  // namespace

ClusterView::Second& ClusterView::this_second(double now) {
  const auto second = static_cast<std::int64_t>(now);
  if (history_.empty() || history_.back().at < second) history_.push_back({second, 0, 0, 0});
  while (history_.front().at < second - window) history_.pop_front();
  return history_.back();
}

void ClusterView::on_event(const Json& event, double now) {
  if (!event.is_object()) return;
  const std::string type = text(event, "type"), host = text(event, "hostname"), id = text(event, "uuid");
  if (type == "task-sent" || host.empty() || (nodes_.count(host) == 0 && nodes_.size() >= most_nodes)) return;
  Node& node = nodes_[host];
  node.seen = now;
  node.offline = type == "worker-offline";
  if (type.starts_with("worker-")) {
    node.every = std::clamp(number(event, "freq", 2), 0.1, 3600.0);
    node.active = static_cast<std::int64_t>(number(event, "active", static_cast<double>(node.active)));
    node.processed =
        static_cast<std::int64_t>(number(event, "processed", static_cast<double>(node.processed)));
    if (const auto load = event.find("loadavg"); load != event.end() && load->is_array() && !load->empty()) {
      node.load = load->front().is_number() ? load->front().get<double>() : 0;
    }
    return;
  }
  if (id.empty()) return;
  if (type == "task-received" || type == "task-started") {
    const auto [at, fresh] = tasks_.try_emplace(id);
    if (fresh) order_.push_back(id);
    Task& task = at->second;
    if (const std::string name = text(event, "name"); !name.empty()) task.name = name;
    task.node = host;
    (type == "task-started" ? task.started : task.received) = number(event, "timestamp", now);
    while (order_.size() > most_tasks) {
      tasks_.erase(order_.front());
      order_.pop_front();
    }
    return;
  }
  Second& second = this_second(now);
  if (type == "task-succeeded") ++second.succeeded;
  if (type == "task-failed") ++second.failed;
  if (type == "task-retried") ++second.retried;
  tasks_.erase(id);
}

bool ClusterView::is_online(const Node& node, double now) const {
  return !node.offline && now - node.seen < node.every * heartbeat_window + 1;
}

std::string ClusterView::rates(double now) const {
  unsigned succeeded = 0, failed = 0, retried = 0;
  for (const Second& second : history_) {
    if (static_cast<double>(second.at) < now - window) continue;
    succeeded += second.succeeded, failed += second.failed, retried += second.retried;
  }
  return fmt::format("{:.1f}/s succeeded, {:.1f}/s failed, {:.1f}/s retried (last {} s)",
                     succeeded / double(window), failed / double(window), retried / double(window), window);
}

std::vector<std::string> ClusterView::lines(double now, std::size_t width, std::size_t height,
                                            bool colour) const {
  using Align = Table::Align;
  std::size_t online = 0;
  Table nodes({{"NODE"},
               {"STATUS"},
               {"ACTIVE", Align::right},
               {"PROCESSED", Align::right},
               {"LOAD", Align::right},
               {"SEEN", Align::right}});
  for (const auto& [name, node] : nodes_) {
    const bool up = is_online(node, now);
    online += up;
    nodes.add({name, up ? "online" : "offline", std::to_string(node.active), std::to_string(node.processed),
               fmt::format("{:.2f}", node.load), duration(now - node.seen) + " ago"});
  }
  Table queues({{"QUEUE"},
                {"READY", Align::right},
                {"UNACKED", Align::right},
                {"DELAYED", Align::right},
                {"DEAD", Align::right}});
  for (const QueueInfo& queue : queues_) {
    queues.add({queue.name, std::to_string(queue.ready), std::to_string(queue.unacked),
                std::to_string(queue.delayed), std::to_string(queue.dead)});
  }
  std::vector<std::pair<double, const std::pair<const std::string, Task>*>> running;
  for (const auto& entry : tasks_)
    if (entry.second.started > 0) running.emplace_back(entry.second.started, &entry);
  std::sort(running.begin(), running.end());  // the longest first
  Table tasks({{"RUNNING TASK"}, {"ID"}, {"NODE"}, {"FOR", Align::right}});
  for (std::size_t i = 0; i < running.size() && i < height; ++i) {
    const auto& [id, task] = *running[i].second;
    tasks.add({task.name.empty() ? "?" : task.name, id, task.node, duration(now - task.started)});
  }

  std::vector<std::string> out;
  out.push_back(fmt::format("celeriac: {} of {} nodes online, {} tasks running, {} waiting in nodes", online,
                            nodes_.size(), running.size(), tasks_.size() - running.size()));
  out.push_back(rates(now));
  out.emplace_back();
  // Nodes and queues get a third each at most; running tasks what is left.
  const std::size_t share = std::max<std::size_t>(3, height > 6 ? (height - 6) / 3 : 1);
  append(out, nodes, width, colour, share);
  out.emplace_back();
  append(out, queues, width, colour, share);
  out.emplace_back();
  append(out, tasks, width, colour, height);
  if (out.size() > height) out.resize(height);
  for (std::string& line : out)
    if (!colour && line.size() > width && width > 0) line.resize(width);
  return out;
}

}  // namespace celeriac
