#include "cli/report_command.hpp"

#include "cli/command_line.hpp"
#include "cli/session.hpp"
#include "config/version.hpp"
#include "protocol/repr.hpp"
#include "queues/connect.hpp"
#include "worker/app.hpp"
#include "worker/control/node_facts.hpp"

#include <sys/utsname.h>
#include <ostream>
#include <thread>

namespace celeriac {

int report_command(CommandContext& context, const Arguments& args) {
  auto options = command_options(
      "celeriac report",
      "Prints what a bug report needs: versions, platform, tasks and the settings that differ "
      "from their defaults, without secrets.");
  bool json = false;
  options->add_flag("-j,--json", json, "print JSON");
  if (auto code = read_command(context, *options, args)) return *code;
  auto settings = load_command_settings(context);
  if (!settings) return exit_code::usage;
  utsname system{};
  ::uname(&system);
  Json tasks = Json::array();
  for (const App::Task* task : context.app.tasks()) tasks.push_back(task->name);
  const auto url = parse_url(settings->broker_url);
  const Json report = {
      {"software", {{"celeriac", std::string(version())}, {"compiler", "g++ " __VERSION__}}},
      {"platform",
       {{"system", system.sysname},
        {"kernel", system.release},
        {"arch", system.machine},
        {"cpus", std::thread::hardware_concurrency()}}},
      {"transport", url ? Json(url->display()) : Json(nullptr)},
      {"tasks", std::move(tasks)},
      {"settings", shown_settings(*settings, false)},
  };
  if (json) {
    context.out << dump_json(report) << "\n";
    return exit_code::ok;
  }
  context.out << "\n";
  for (const char* part : {"software", "platform"}) {
    context.out << part << " ->";
    for (const auto& [name, value] : report.at(part).items())
      context.out << " " << name << ":" << (value.is_string() ? value.get<std::string>() : dump_json(value));
    context.out << "\n";
  }
  context.out << "transport -> " << (url ? url->display() : "broker_url cannot be read: " + url.error().what)
              << "\ntasks    -> " << report.at("tasks").size() << "\n";
  for (const Json& name : report.at("tasks")) context.out << "  . " << name.get<std::string>() << "\n";
  context.out << "\n";
  for (const auto& [name, value] : report.at("settings").items())
    context.out << name << ": " << python_repr(value) << "\n";
  return exit_code::ok;
}

}  // namespace celeriac
