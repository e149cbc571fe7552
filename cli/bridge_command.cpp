#include "cli/bridge_command.hpp"

#include "cli/command_line.hpp"
#include "cli/session.hpp"
#include "protocol/json.hpp"
#include "queues/bridge.hpp"
#include "queues/connect.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <numeric>
#include <ostream>
#include <set>

namespace celeriac {
namespace {

Expected<std::unique_ptr<Broker>> connect(boost::asio::io_context& io, Settings settings,
                                          const std::string& url) {
  settings.broker_url = url;
  settings.broker_connection_retry_on_startup = false;  // a mistyped URL is told at once
  return make_broker(io, settings);
}

int report(CommandContext& context, const Bridge::Outcome& outcome, const std::string& from,
           const std::string& to, bool json) {
  const std::uint64_t total =
      std::accumulate(outcome.moved.begin(), outcome.moved.end(), std::uint64_t{0},
                      [](std::uint64_t sum, const auto& one) { return sum + one.second; });
  if (json) {
    context.out << dump_json(Json{{"from", from},
                                  {"to", to},
                                  {"moved", total},
                                  {"queues", outcome.moved},
                                  {"unreadable", outcome.unreadable},
                                  {"held", outcome.held},
                                  {"problem", outcome.problem.empty() ? Json() : Json(outcome.problem)}})
                << "\n";
  } else {
    context.out << "Moved " << total << " message" << (total == 1 ? "" : "s") << " from " << from << " to "
                << to << ".\n";
    for (const auto& [queue, count] : outcome.moved) context.out << "  " << queue << ": " << count << "\n";
  }
  if (outcome.unreadable > 0)
    context.err << outcome.unreadable << " message(s) cannot be read and stay where they are.\n";
  if (outcome.held > 0)
    context.err << outcome.held
                << " message(s) are held by workers of the source. Stop them and run this again.\n";
  if (outcome.problem.empty()) return exit_code::ok;
  context.err << "Error: " << outcome.problem << "\n";
  return exit_code::unavailable;
}

}  // namespace

int bridge_command(CommandContext& context, const Arguments& args) {
  auto options = command_options(
      "celeriac bridge",
      "Moves waiting messages to the queues of the same names at another broker. Each is acknowledged at the "
      "source after the destination has confirmed it; run it again after an interruption. Stop workers and "
      "producers of the source first, or let it --follow them.");
  std::string from, to;
  std::vector<std::string> named;
  bool follow = false, json = false;
  options->add_option("--from", from, "broker that has the messages")->required()->type_name("URL");
  options->add_option("--to", to, "broker that gets them")->required()->type_name("URL");
  options->add_option("-Q,--queues", named, "queues")
      ->required()
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("A,B,...");
  options->add_flag("--follow", follow, "go on when the queues are empty, until interrupted");
  options->add_flag("--json", json, "print JSON");
  if (auto code = read_command(context, *options, args)) return *code;
  if (from == to) return refuse_usage(context, *options, "--from and --to are the same broker");
  auto settings = load_command_settings(context);
  if (!settings) return exit_code::usage;

  boost::asio::io_context io{1};
  auto source = connect(io, *settings, from);
  auto destination = connect(io, *settings, to);
  for (const auto* made : {&source, &destination}) {
    if (*made) continue;
    context.err << "Error: " << made->error().what << "\n";
    return exit_code::usage;
  }
  const std::string from_name = (*source)->display_url(), to_name = (*destination)->display_url();
  const std::set<std::string> queues(named.begin(), named.end());
  Bridge bridge(io, std::move(*source), std::move(*destination), {queues.begin(), queues.end()});
  boost::asio::signal_set signals(io, SIGINT, SIGTERM, SIGHUP);
  signals.async_wait([&](const boost::system::error_code& error, int) {
    if (!error) bridge.stop();
  });
  std::optional<Bridge::Outcome> outcome;
  bridge.start(follow, [&](const Bridge::Outcome& how) {
    outcome = how;
    io.stop();
  });
  io.run();
  return report(context, *outcome, from_name, to_name, json);
}

}  // namespace celeriac
