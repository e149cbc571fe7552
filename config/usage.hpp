// One way to read arguments with CLI11 and to say what is wrong with them, for every command.
#pragma once

#include "config/worker_command.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace celeriac {

// Reads `args` (program and command names left out). Nullopt: they were read; otherwise what to print and the
// exit code: the help page (0), or a usage error (2) with the nearest known option.
std::optional<CommandLineExit> read_arguments(CLI::App& app, const std::vector<std::string>& args);

// A usage error of the command's own in the same form.
CommandLineExit usage_error(const CLI::App& app, std::string what);

// The global option that this argument is ("-b" for "-bredis://..."); empty for any other.
std::string_view global_option(std::string_view argument);

}  // namespace celeriac
