// celeriac list bindings: which queues get the messages of which exchanges.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

int list_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
