#include "cli/events_command.hpp"

#include "cli/command_line.hpp"
#include "cli/event_line.hpp"
#include "cli/remote_command.hpp"
#include "protocol/uuid.hpp"

#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <ostream>

namespace celeriac {

int events_command(CommandContext& context, const Arguments& args) {
  auto options =
      command_options("celeriac events",
                      "Prints the events of all nodes as they happen, until it is interrupted. Nodes send "
                      "task events when they run with -E or after `celeriac control enable_events`.");
  bool dump = false, json = false;
  options->add_flag("-d,--dump", dump, "one line an event; this is what it does in any case");
  options->add_flag("-j,--json", json, "print each event as JSON");
  if (auto code = read_command(context, *options, args)) return *code;
  auto settings = load_command_settings(context);
  if (!settings) return exit_code::usage;
  Session session(std::move(*settings));
  auto broker = session.broker();
  if (!broker) return print_unreachable(context, broker.error().what);
  if (!(*broker)->can_broadcast()) return print_unreachable(context, "this broker has no events");

  EventLines lines;
  (*broker)->subscribe("celeryev", "#", "celeryev." + uuid4(), [&](Message&& message) {
    auto events = read_events(message);
    if (!events) {
      context.err << "an event cannot be read: " << events.error().what << "\n";
      return;
    }
    for (const Json& event : *events) context.out << (json ? dump_json(event) : lines.line(event)) << "\n";
    context.out << std::flush;
  });
  if (!json) context.out << "-> evdump: starting capture..." << std::endl;
  ControlRequest wake;  // nodes tell that they are there
  wake.method = "heartbeat";
  wake.clock = 1;
  (*broker)->broadcast(write_control_request(wake, 0));

  boost::asio::signal_set signals(session.io(), SIGINT, SIGTERM);
  const auto until_signal = [&](std::function<void(Expected<bool>)> done) {
    signals.async_wait([done](const boost::system::error_code&, int) { done(true); });
  };
  const auto ended = session.wait<bool>(until_signal, std::nullopt);
  signals.cancel();
  return ended ? exit_code::ok : print_unreachable(context, ended.error().what);
}

}  // namespace celeriac
