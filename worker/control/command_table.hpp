// Every command that `inspect` and `control` know. The worker runs them; the command line reads names,
// arguments and help from the same table.
#pragma once

#include "worker/control/arguments.hpp"
#include "worker/control/panel.hpp"

#include <string_view>
#include <vector>

namespace celeriac {

enum class CommandKind { inspect, control };
enum class ArgumentKind { text, integer, number, truth };

struct ControlCommand {
  std::string_view name, alias;
  CommandKind kind;
  std::string_view help;       // one line
  std::string_view usage;      // of its arguments on a command line
  CommandSignature signature;  // of the message
  // Positional arguments of the command line, and the name that takes all the rest.
  std::vector<std::pair<std::string_view, ArgumentKind>> positional = {};
  std::string_view rest = {};
  bool visible = true;  // listed
  bool answers = true;
  // The Error is the text of the "error" reply: Python's repr of an exception.
  Expected<Json> (*run)(ControlPanel&, const CommandArguments&) = nullptr;
};

const std::vector<ControlCommand>& control_commands();
const ControlCommand* find_control_command(std::string_view name);  // by name or alias

// Runs a command as a request asks. The value is the reply; nothing when there is to be none.
std::optional<Json> run_control_command(ControlPanel& panel, std::string_view method, const Json& arguments);

namespace remote {

using Answer = Expected<Json>;
Json ok(std::string text);
Json nok(std::string text);

// inspect_commands.cpp
Answer active(ControlPanel&, const CommandArguments&);
Answer active_queues(ControlPanel&, const CommandArguments&);
Answer clock(ControlPanel&, const CommandArguments&);
Answer conf(ControlPanel&, const CommandArguments&);
Answer hello(ControlPanel&, const CommandArguments&);
Answer memdump(ControlPanel&, const CommandArguments&);
Answer memsample(ControlPanel&, const CommandArguments&);
Answer objgraph(ControlPanel&, const CommandArguments&);
Answer ping(ControlPanel&, const CommandArguments&);
Answer query_task(ControlPanel&, const CommandArguments&);
Answer registered(ControlPanel&, const CommandArguments&);
Answer report(ControlPanel&, const CommandArguments&);
Answer reserved(ControlPanel&, const CommandArguments&);
Answer revoked(ControlPanel&, const CommandArguments&);
Answer scheduled(ControlPanel&, const CommandArguments&);
Answer stats(ControlPanel&, const CommandArguments&);

// control_commands.cpp
Answer add_consumer(ControlPanel&, const CommandArguments&);
Answer autoscale(ControlPanel&, const CommandArguments&);
Answer cancel_consumer(ControlPanel&, const CommandArguments&);
Answer disable_events(ControlPanel&, const CommandArguments&);
Answer election(ControlPanel&, const CommandArguments&);
Answer enable_events(ControlPanel&, const CommandArguments&);
Answer heartbeat(ControlPanel&, const CommandArguments&);
Answer pool_grow(ControlPanel&, const CommandArguments&);
Answer pool_restart(ControlPanel&, const CommandArguments&);
Answer pool_shrink(ControlPanel&, const CommandArguments&);
Answer rate_limit(ControlPanel&, const CommandArguments&);
Answer revoke(ControlPanel&, const CommandArguments&);
Answer revoke_by_stamped_headers(ControlPanel&, const CommandArguments&);
Answer shutdown(ControlPanel&, const CommandArguments&);
Answer terminate(ControlPanel&, const CommandArguments&);
Answer time_limit(ControlPanel&, const CommandArguments&);

}  // namespace remote
}  // namespace celeriac
