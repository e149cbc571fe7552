// celeriac resume: ends a pause.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

int resume_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
