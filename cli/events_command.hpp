// celeriac events: print events as they happen.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

int events_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
