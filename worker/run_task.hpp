// One run of a task in a slot, the same in every pool: read the body, call the function, turn what
// happened into an Outcome. Uses the calling thread only.
#pragma once

#include "worker/app.hpp"
#include "worker/job.hpp"

#include <atomic>
#include <functional>
#include <string>
#include <vector>

namespace celeriac {

class TaskPort;

struct RunEnvironment {
  const App& app;
  const std::vector<std::string>& accept;  // content types a body may have
  TaskPort& port;
  bool whole_process = false;  // CPU time is the process's (a slot of its own), not the thread's
};

// `on_start` is called once the body is read, just before the function runs; not for an undecodable body.
// Never throws what the task threw. usage.peak_rss is left to the caller.
Finished run_task(const RunEnvironment& environment, const Job& job, const std::atomic<bool>& soft_limit_hit,
                  const std::function<void()>& on_start);

}  // namespace celeriac
