// celeriac tasks: the history of runs, from the ledger.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

int tasks_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
