// Which workers there are, from their heartbeats: ours and Python's alike. Pure; times are given.
#pragma once

#include "protocol/json.hpp"
#include "protocol/message.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace celeriac::http {

struct LiveWorker {
  std::string name, software;  // "celeriac 0.1", "py-celery 5.6"
  std::int64_t active = 0, processed = 0;
  double seen = 0;                                 // Unix seconds
  std::optional<std::vector<std::string>> queues;  // what it takes from, once it has been asked
  bool native() const { return software.starts_with("celeriac"); }
};

class LiveWorkers {
 public:
  // Celery's own time after which a silent worker is gone: heartbeats come every two seconds.
  static constexpr double patience = 60;
  static constexpr std::size_t most = 10000, most_queues = 1000;

  void on_message(const Message& message, double now);
  std::vector<LiveWorker> list(double now);  // by name
  // A node's answer to `active_queues`.
  void on_queues(const std::string& node, const Json& answer);

 private:
  void on_event(const Json& event, double now);
  std::map<std::string, LiveWorker> workers_;
};

}  // namespace celeriac::http
