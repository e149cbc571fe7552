// celeriac call: sends a task, as Celery's apply_async does.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

int call_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
