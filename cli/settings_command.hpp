// celeriac settings: the reference of settings.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

int settings_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
