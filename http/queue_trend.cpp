#include "http/queue_trend.hpp"

namespace celeriac::http {

void QueueTrend::note(const std::string& queue, std::uint64_t backlog, const std::string& next, double now) {
  if (queues_.size() >= most_queues && !queues_.contains(queue)) return;
  auto& seen = queues_[queue];
  if (seen.next != next) {
    seen.next = next;
    seen.since = now;
  }
  seen.samples.push_back({now, backlog});
  while (seen.samples.size() > 1 && now - seen.samples.front().time > window) seen.samples.pop_front();
}

std::optional<double> QueueTrend::growth(const std::string& queue) const {
  const auto found = queues_.find(queue);
  if (found == queues_.end()) return std::nullopt;
  const auto &first = found->second.samples.front(), &last = found->second.samples.back();
  if (last.time - first.time < shortest) return std::nullopt;
  return (static_cast<double>(last.backlog) - static_cast<double>(first.backlog)) * 60 /
         (last.time - first.time);
}

std::optional<double> QueueTrend::waited(const std::string& queue, double now) const {
  const auto found = queues_.find(queue);
  if (found == queues_.end() || found->second.next.empty()) return std::nullopt;
  return now - found->second.since;
}

}  // namespace celeriac::http
