#include "cli/status_command.hpp"

#include "cli/command_line.hpp"
#include "cli/remote_command.hpp"

#include <ostream>

namespace celeriac {

int status_command(CommandContext& context, const Arguments& args) {
  auto options = command_options("celeriac status", "Shows which nodes are online. None: exit code 69.");
  RemoteOptions remote;
  add_remote_options(*options, remote);
  if (auto code = read_command(context, *options, args)) return *code;
  auto settings = load_command_settings(context);
  if (!settings) return exit_code::usage;
  Session session(std::move(*settings));
  const auto show = [&](const ControlReply& reply) {
    if (!remote.json) context.out << reply_text(reply, false) << std::flush;
  };
  const auto replies = ask_nodes(session, remote, "ping", Json::object(), true, show);
  if (!replies) return print_unreachable(context, replies.error().what);
  if (replies->empty()) return print_unreachable(context, {});
  if (remote.json) {
    Json out = Json::object();
    for (const ControlReply& reply : *replies) out[reply.node] = reply.value;
    context.out << dump_json(out) << "\n";
  } else if (!context.globals.quiet) {
    context.out << nodes_online(replies->size());
  }
  return exit_code::ok;
}

}  // namespace celeriac
