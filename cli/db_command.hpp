// `celeriac db migrate|status|check`: the schema of the invoice application's database.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

// migrate applies what is pending; status lists every migration; check says by its exit code
// whether the schema is what this binary needs: 0 yes, 1 no, 69 the database cannot be reached.
int db_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
