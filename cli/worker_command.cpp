#include "cli/worker_command.hpp"

#include "cli/application.hpp"
#include "config/usage.hpp"
#include "worker/app.hpp"

#include <ostream>

namespace celeriac {

// The worker reads its own line (a task author's executable has no commands at all), so this one is made
// flat again: global options first, then the worker's.
int worker_command(CommandContext& context, const Arguments& args) {
  for (const auto& arg : args) {
    if (arg == "--") break;
    auto global = global_option(arg);
    if (global.empty()) continue;
    context.err << "Error: " << global
                << " is a global option: write it before the command, as in\n  celeriac " << global
                << " ... worker ...\n";
    return exit_code::usage;
  }
  const auto& globals = context.globals;
  std::vector<std::string> line = {"celeriac"};
  auto add = [&](const char* option, const std::string& value) {
    if (!value.empty()) line.insert(line.end(), {option, value});
  };
  add("--broker", globals.broker);
  add("--result-backend", globals.result_backend);
  add("--config", globals.config);
  if (globals.quiet) line.push_back("--quiet");
  if (globals.no_color) line.push_back("--no-color");
  line.insert(line.end(), args.begin(), args.end());

  std::vector<char*> argv;
  for (auto& word : line) argv.push_back(word.data());
  argv.push_back(nullptr);
  auto argc = static_cast<int>(line.size());

  // The tasks want the worker's own settings, those of this line included.
  auto parsed = parse_worker_command(argc, argv.data());
  if (!parsed) {
    (parsed.error().to_stderr ? context.err : context.out) << parsed.error().text;
    return parsed.error().code;
  }
  if (const auto fault = fault_of_application(parsed->settings); !fault.empty()) {
    context.err << "Error: " << fault << "\n";
    return exit_code::usage;
  }
  export_to_slots(parsed->settings);
  return worker_main(application(parsed->settings), argc, argv.data());
}

}  // namespace celeriac
