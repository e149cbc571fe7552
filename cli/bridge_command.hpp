// celeriac bridge: moves waiting messages from one broker to another.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

int bridge_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
