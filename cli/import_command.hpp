// celeriac import: messages from a file into their queues.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

int import_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
