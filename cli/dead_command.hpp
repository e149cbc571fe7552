// celeriac dead: looks after dead letters.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

int dead_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
