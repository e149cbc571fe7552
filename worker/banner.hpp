// What a starting worker shows of itself: node, transport, results, pool, queues, tasks.
#pragma once

#include "config/settings.hpp"
#include "worker/app.hpp"

#include <string>
#include <vector>

namespace celeriac {

struct BannerFacts {
  std::string node, transport, results, pool;  // URLs without passwords
  std::string concurrency;                     // "4", "{min=1, max=4}"
  bool task_events = false;
  bool list_tasks = false;
  std::vector<std::string> queues;
};

// Of the settings the queues' exchanges are shown.
std::string banner(const BannerFacts& facts, const App& app, const Settings& settings);

}  // namespace celeriac
