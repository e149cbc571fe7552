#include "worker/banner.hpp"

#include <fmt/format.h>

namespace celeriac {

std::string banner(const BannerFacts& facts, const App& app) {
  std::string text = fmt::format(
      "\n{} (celeriac)\n\n"
      "[config]\n"
      ".> transport:   {}\n"
      ".> results:     {}\n"
      ".> concurrency: {} ({})\n"
      ".> task events: {}\n\n"
      "[queues]\n",
      facts.node, facts.transport, facts.results, facts.concurrency, facts.pool,
      facts.task_events ? "ON" : "OFF (enable -E to monitor tasks in this worker)");
  for (const auto& queue : facts.queues) {
    text += fmt::format(".> {:<16} exchange={}(direct) key={}\n", queue, queue, queue);
  }
  if (facts.list_tasks) {
    text += "\n[tasks]\n";
    for (const App::Task* task : app.tasks()) text += fmt::format("  . {}\n", task->name);
  }
  return text += '\n';
}

}  // namespace celeriac
