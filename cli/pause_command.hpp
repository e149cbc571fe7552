// celeriac pause: holds queues back from all celeriac workers.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

int pause_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
