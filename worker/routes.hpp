// Which queue a task is sent to, and which queues this worker reads.
#pragma once

#include "config/settings.hpp"
#include "worker/app.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace celeriac {

// First of: an exact name in task_routes, a matching glob in task_routes (in the order of their
// text), the registered task's own queue, task_default_queue.
std::string route(std::string_view task, const Settings& settings, const App& app);

// -Q, or else task_queues, or else the default queue and every queue a registered task names; without -X.
std::vector<std::string> consumed_queues(const Settings& settings, const WorkerOptions& options,
                                         const App& app);

}  // namespace celeriac
