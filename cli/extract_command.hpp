// `celeriac extract PATH...`: read invoices from files and folders here and now, without a broker.
#pragma once

#include "cli/command.hpp"

namespace celeriac {

// One line of JSON per document, in the order of the paths. Each document is read by a process of
// its own (this executable started again with --one). 0 when every document could be read,
// 1 when one could not, 2 for a wrong command line.
int extract_command(CommandContext& context, const Arguments& args);

}  // namespace celeriac
