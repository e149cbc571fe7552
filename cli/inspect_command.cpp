#include "cli/inspect_command.hpp"

#include "cli/remote_command.hpp"

namespace celeriac {

int inspect_command(CommandContext& context, const Arguments& args) {
  return remote_command(context, args, CommandKind::inspect);
}

}  // namespace celeriac
