// celeriac queues: what waits, runs and failed, queue by queue.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

int queues_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
