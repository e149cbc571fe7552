// celeriac control: tell nodes what to do.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

int control_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
