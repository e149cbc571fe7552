// celeriac worker: runs tasks until told to stop.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

int worker_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
