#include "cli/control_command.hpp"

#include "cli/remote_command.hpp"

namespace celeriac {

int control_command(CommandContext& context, const Arguments& args) {
  return remote_command(context, args, CommandKind::control);
}

}  // namespace celeriac
