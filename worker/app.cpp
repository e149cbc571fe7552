#include "worker/app.hpp"

#include "worker/canvas/builtin_tasks.hpp"

#include <stdexcept>

namespace celeriac {

App::App() : builtins_(canvas::builtin_tasks()) {}

const App::Task* App::find(std::string_view name) const {
  if (const auto found = tasks_.find(name); found != tasks_.end()) return &found->second;
  const auto found = builtins_.find(name);
  return found == builtins_.end() ? nullptr : &found->second;
}

std::vector<const App::Task*> App::tasks() const {
  std::vector<const Task*> out;
  out.reserve(tasks_.size());
  for (const auto& [name, task] : tasks_) out.push_back(&task);
  return out;
}

std::vector<const App::Task*> App::builtins() const {
  std::vector<const Task*> out;
  for (const auto& [name, task] : builtins_) out.push_back(&task);
  return out;
}

void App::on_slot_start(std::function<void()> hook) { slot_start_.push_back(std::move(hook)); }

void App::run_slot_start_hooks() const {
  for (const auto& hook : slot_start_) hook();
}

void App::add(std::string name, Body body, TaskOptions options, ArgumentRules rules) {
  if (name.empty()) throw std::logic_error("a task needs a name");
  if (!body) throw std::logic_error("task '" + name + "' has no function");
  Task task{name, std::move(options), std::move(body), nullptr, std::move(rules)};
  if (!tasks_.emplace(name, std::move(task)).second)
    throw std::logic_error("task '" + name + "' is registered twice");
}

}  // namespace celeriac
