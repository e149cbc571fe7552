// celeriac beat: sends the tasks of beat_schedule; beat ls lists them.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

int beat_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
