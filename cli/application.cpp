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
  const std::set<std::string_view> sections = {find_setting("database_url")->section,
                                               find_setting("llm_model")->section,
                                               find_setting("email_accounts")->section};
  for (const SettingInfo& info : settings_table()) {
    if (!sections.contains(info.section)) continue;
    const Json value = info.get(settings);
    std::string text = value.is_string() ? value.get<std::string>() : dump_json(value);
    if (value.is_array()) {  // in the environment a list is separated by commas
      text.clear();
      for (const Json& item : value) text += (text.empty() ? "" : ",") + item.get<std::string>();
    }
    setenv(info.environment().c_str(), text.c_str(), 1);
  }
}

std::set<std::string> known_queues(const App& app, const Settings& settings) {
  std::set<std::string> out = {settings.task_default_queue};
  for (const auto* task : app.tasks())
    if (!task->options.queue.empty()) out.insert(task->options.queue);
  for (const auto& [pattern, queue] : settings.task_routes) out.insert(queue);
  for (const auto& [queue, unused] : settings.task_queues) out.insert(queue);
  return out;
}

}  // namespace celeriac
