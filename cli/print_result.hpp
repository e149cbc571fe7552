// Waits for a task and prints what became of it.
#pragma once

#include "cli/session.hpp"

#include <optional>
#include <string>

namespace celeriac {

struct PrintResult {
  std::optional<double> timeout;  // seconds; none: for ever
  bool json = false;              // the whole document
  bool traceback = false;         // the traceback instead of the value
};

// Exit code: 0, 1 when the task failed or was revoked or time ran out, 69 when the store is not reachable.
int print_result(CommandContext& context, Session& session, const std::string& id, PrintResult how);

}  // namespace celeriac
