// celeriac report: what to write into a bug report.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

int report_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
