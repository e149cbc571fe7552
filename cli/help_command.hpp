// celeriac help: the help pages, also as one Markdown page.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

int help_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
