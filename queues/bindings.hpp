// Which queues are bound to which exchanges, as the broker has written it down. For `celeriac list bindings`.
#pragma once

#include "config/settings.hpp"
#include "protocol/error.hpp"

#include <string>
#include <vector>

namespace celeriac {

struct Binding {
  std::string queue, exchange, routing_key;
  bool operator<(const Binding& other) const;
};

// Connects, reads and disconnects: blocks for at most a little more than broker_connection_timeout. Sorted by
// queue.
Expected<std::vector<Binding>> read_bindings(const Settings& settings);

}  // namespace celeriac
