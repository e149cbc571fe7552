// celeriac peek: the messages that come next in a queue.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

int peek_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
