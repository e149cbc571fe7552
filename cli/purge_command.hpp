// celeriac purge: drops the waiting messages of queues.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

int purge_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
