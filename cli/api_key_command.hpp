// `celeriac api-key create|ls|revoke`: who may use the HTTP front end without a token.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

// create prints the key, which nobody can look up again.
int api_key_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
