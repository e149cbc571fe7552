// celeriac status: which nodes are online.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

int status_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
