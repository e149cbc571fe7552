// celeriac http: the front end.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

int http_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
