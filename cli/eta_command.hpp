// celeriac eta: messages that wait for their time.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

int eta_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
