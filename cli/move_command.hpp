// celeriac move: waiting messages into another queue.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

int move_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
