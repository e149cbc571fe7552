// celeriac dev: everything a developer needs, with nothing to install or configure but the packages.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

int dev_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
