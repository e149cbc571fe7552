// The command line of `celeriac worker`: Celery's option names, and every source of settings under it.
#pragma once

#include "config/settings.hpp"

#include <string>
#include <tl/expected.hpp>
#include <vector>

namespace celeriac {

// Asks the caller to print `text` and leave with `code`: --help, --version, or a usage error (code 2).
struct CommandLineExit {
  int code = 0;
  std::string text;
  bool to_stderr = false;
};

struct WorkerCommand {
  Settings settings;
  WorkerOptions options;
  std::vector<std::string> warnings;  // for the log: settings that are known but have no effect
};

// argv[0] is the program, the rest the options of `celeriac worker` together with the global ones
// (-b/--broker, --result-backend, --config, -q/--quiet, -C/--no-color) in one flat line. Reads the settings
// file and the environment; a later source wins: file, environment, command line.
tl::expected<WorkerCommand, CommandLineExit> parse_worker_command(int argc, char** argv);

}  // namespace celeriac
