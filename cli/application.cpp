#include "cli/application.hpp"

#include "config/settings_table.hpp"
#if CELERIAC_TASKS
#include "tasks/register.hpp"
#endif

#include <cstdlib>

namespace celeriac {

App application([[maybe_unused]] const Settings& settings) {
  App app;
#if CELERIAC_TASKS
  register_all(app, settings);
#endif
  return app;
}

std::string fault_of_application([[maybe_unused]] const Settings& settings) {
#if CELERIAC_TASKS
  return application_fault(settings);
#else
  return {};
#endif
}

void export_to_slots(const Settings& settings) {
  for (std::string_view name : {"database_url", "storage_root", "validation_rules", "websocket_events_url"}) {
    const auto* info = find_setting(name);
    setenv(info->environment().c_str(), info->get(settings).get<std::string>().c_str(), 1);
  }
}

std::set<std::string> known_queues(const App& app, const Settings& settings) {
  std::set<std::string> out = {settings.task_default_queue};
  for (const auto* task : app.tasks())
    if (!task->options.queue.empty()) out.insert(task->options.queue);
  for (const auto& [pattern, queue] : settings.task_routes) out.insert(queue);
  return out;
}

}  // namespace celeriac
