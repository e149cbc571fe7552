#pragma once

#include "cli/command.hpp"

namespace celeriac {

int beat_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
