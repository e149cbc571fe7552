// What commands act on: the parts of one running node.
#pragma once

#include "config/settings.hpp"
#include "worker/consumer.hpp"
#include "worker/events/event_dispatcher.hpp"
#include "worker/events/gossip.hpp"
#include "worker/events/lamport_clock.hpp"
#include "worker/pool.hpp"
#include "worker/pool_size.hpp"

#include <functional>
#include <string>
#include <vector>

namespace celeriac {

struct ControlPanel {
  std::string node;
  const App& app;
  const Settings& settings;
  const WorkerOptions& options;
  Consumer& consumer;
  Pool& pool;
  PoolSize& pool_size;
  EventDispatcher& events;
  LamportClock& clock;
  Gossip* gossip = nullptr;                   // null: --without-gossip, elections are left to others
  std::string results_url = {};               // without its password
  double started_at = 0;                      // Unix seconds
  std::function<void()> send_heartbeat = {};  // freq 5, no load: as Celery answers the command
  std::function<void()> shut_down = {};       // warm
  std::vector<std::string> memory_samples = {};
};

}  // namespace celeriac
