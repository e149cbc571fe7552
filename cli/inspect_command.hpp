// celeriac inspect: ask nodes what they hold, run and are.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

int inspect_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
