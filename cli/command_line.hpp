// Finds the command in the arguments and runs it.
#pragma once

#include "cli/command.hpp"

#include <CLI/App.hpp>
#include <memory>
#include <optional>

namespace celeriac {

// `args` without the program's name. Returns the process's exit code.
int run_command_line(const App& app, const Arguments& args, std::ostream& out, std::ostream& err);

// The CLI::App of one command ("call" or "celeriac call"), with the layout all help pages share.
std::unique_ptr<CLI::App> command_options(const std::string& name, const std::string& description);

// Reads the arguments. A value: help or an error was printed, leave with this code.
std::optional<int> read_command(CommandContext& context, CLI::App& options, const Arguments& args);

// A usage error found after reading: prints it, returns the exit code.
int refuse_usage(CommandContext& context, const CLI::App& options, const std::string& what);

}  // namespace celeriac
