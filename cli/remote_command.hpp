// What status, inspect and control have in common: asking nodes over the broker, and printing their
// replies in Celery's form.
#pragma once

#include "cli/command.hpp"
#include "cli/session.hpp"
#include "worker/control/command_table.hpp"
#include "worker/control/mailbox.hpp"

#include <CLI/App.hpp>
#include <functional>
#include <string>
#include <vector>

namespace celeriac {

struct RemoteOptions {
  double timeout = 1;                    // seconds to wait for the next reply
  std::vector<std::string> destination;  // empty: everybody
  bool json = false;
};
void add_remote_options(CLI::App& options, RemoteOptions& remote);

// Sends the command and gathers replies until every node named has answered, or none comes for the
// timeout. `on_reply` sees each as it comes.
Expected<std::vector<ControlReply>> ask_nodes(Session& session, const RemoteOptions& remote,
                                              const std::string& method, Json arguments, bool answers,
                                              const std::function<void(const ControlReply&)>& on_reply);

// "->  node: OK" and, below, the reply.
std::string reply_text(const ControlReply& reply, bool with_body);

// Runs `inspect` or `control`: everything from the arguments to the exit code.
int remote_command(CommandContext& context, const Arguments& args, CommandKind kind);

std::string nodes_online(std::size_t count);  // "1 node online."
int print_unreachable(CommandContext& context, const std::string& what);

}  // namespace celeriac
