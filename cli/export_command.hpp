// celeriac export: the messages of queues into a file.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

int export_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
