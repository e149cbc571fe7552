#include "worker/banner.hpp"

#include "config/task_queues.hpp"

#include <fmt/format.h>

namespace celeriac {

std::string banner(const BannerFacts& facts, const App& app, const Settings& settings) {
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
    const QueueSettings given = queue_settings(settings, queue);
    text += fmt::format(".> {:<16} exchange={}({}) key={}\n", queue, given.exchange, given.exchange_type,
                        given.routing_key);
  }
  if (facts.list_tasks) {
    text += "\n[tasks]\n";
    for (const App::Task* task : app.tasks()) text += fmt::format("  . {}\n", task->name);
  }
  return text += '\n';
}

}  // namespace celeriac
