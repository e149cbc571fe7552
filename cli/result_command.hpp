// celeriac result: waits for a task's result and prints it.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

int result_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
