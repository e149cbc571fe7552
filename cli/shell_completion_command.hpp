// celeriac shell-completion: a script that lets a shell complete commands and options.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

int shell_completion_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
