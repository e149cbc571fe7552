// What the live screen shows: nodes, queues and tasks as events and the broker tell of them. Pure: callers
// pass the events and the time, and get lines of text.
#pragma once

#include "protocol/json.hpp"
#include "queues/broker.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

namespace celeriac {

class ClusterView {
 public:
  void on_event(const Json& event, double now);
  void on_queues(std::vector<QueueInfo> queues) { queues_ = std::move(queues); }

  // At most `height` lines of at most `width` columns. `colour`: bold headings, dim offline nodes.
  std::vector<std::string> lines(double now, std::size_t width, std::size_t height, bool colour) const;

 private:
  struct Node {
    double seen = 0, every = 2;  // Unix seconds; seconds between heartbeats
    bool offline = false;
    std::int64_t active = 0, processed = 0;
    double load = 0;
  };
  struct Task {
    std::string name, node;
    double received = 0, started = 0;  // Unix seconds; 0: not yet
  };
  struct Second {
    std::int64_t at = 0;
    unsigned succeeded = 0, failed = 0, retried = 0;
  };

  bool is_online(const Node& node, double now) const;
  Second& this_second(double now);
  std::string rates(double now) const;

  std::map<std::string, Node> nodes_;
  std::map<std::string, Task> tasks_;  // by id; held by a node, not ended
  std::deque<std::string> order_;      // their ids; the oldest are forgotten when there are too many
  std::deque<Second> history_;         // the last minute
  std::vector<QueueInfo> queues_;
};

}  // namespace celeriac
