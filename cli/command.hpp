// What a subcommand is: a function that reads its own arguments, prints, and returns the exit code.
#pragma once

#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

namespace celeriac {

class App;

// Exit codes of every command; Celery's own.
namespace exit_code {
inline constexpr int ok = 0, failure = 1, usage = 2, unavailable = 69, cannot_create = 73;
}

// Options that stand before the command's name.
struct GlobalOptions {
  std::string broker;          // -b, --broker
  std::string result_backend;  // --result-backend
  std::string config;          // --config
  bool quiet = false;          // -q
  bool no_color = false;       // -C
};

struct CommandContext {
  const GlobalOptions& globals;
  const App& app;     // the tasks this executable knows
  std::ostream& out;  // results; --help too
  std::ostream& err;  // diagnostics
};

using Arguments = std::vector<std::string>;  // without program and command names

struct Command {
  std::string_view name, summary;
  int (*run)(CommandContext&, const Arguments&);
};

// Every command of this executable, in the order of the help page.
const std::vector<Command>& commands();

}  // namespace celeriac
