#include "worker/routes.hpp"

#include <fnmatch.h>

#include <algorithm>

namespace celeriac {

std::string route(std::string_view task, const Settings& settings, const App& app) {
  const std::string name(task);
  if (const auto exact = settings.task_routes.find(name); exact != settings.task_routes.end()) {
    return exact->second;
  }
  for (const auto& [pattern, queue] : settings.task_routes) {
    if (::fnmatch(pattern.c_str(), name.c_str(), 0) == 0) return queue;
  }
  const App::Task* known = app.find(name);
  return known && !known->options.queue.empty() ? known->options.queue : settings.task_default_queue;
}

std::vector<std::string> consumed_queues(const Settings& settings, const WorkerOptions& options,
                                         const App& app) {
  std::vector<std::string> queues;
  const auto add = [&](const std::string& queue) {
    const auto& out = options.exclude_queues;
    if (queue.empty() || std::find(out.begin(), out.end(), queue) != out.end()) return;
    if (std::find(queues.begin(), queues.end(), queue) == queues.end()) queues.push_back(queue);
  };
  if (!options.queues.empty()) {
    for (const auto& queue : options.queues) add(queue);
    return queues;
  }
  for (const auto& [queue, unused] : settings.task_queues) add(queue);
  if (!settings.task_queues.empty()) return queues;
  add(settings.task_default_queue);
  for (const App::Task* task : app.tasks()) add(task->options.queue);
  return queues;
}

}  // namespace celeriac
