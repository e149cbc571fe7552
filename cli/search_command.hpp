// celeriac search: waiting messages by task, id or text.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

int search_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
