#include "cli/move_command.hpp"

#include "cli/command_line.hpp"
#include "cli/keeper_session.hpp"

#include <limits>
#include <ostream>

namespace celeriac {

int move_command(CommandContext& context, const Arguments& args) {
  auto options = command_options(
      "celeriac move",
      "Moves waiting messages to the end of another queue. What consumers take meanwhile is left to them; "
      "each message is in one queue or the other at any time.");
  std::string from, to;
  MessageFilter filter;
  std::uint64_t limit = std::numeric_limits<std::uint64_t>::max();
  bool yes = false, dry_run = false, json = false;
  options->add_option("from", from, "queue")->required();
  options->add_option("to", to, "queue; made when it does not exist")->required();
  add_filter_options(*options, filter);
  options->add_option("-n,--count", limit, "at most so many; default: all")->check(CLI::PositiveNumber);
  options->add_flag("-y,--yes", yes, "do not ask");
  options->add_flag("--dry-run", dry_run, "only count");
  options->add_flag("--json", json, "print JSON; needs --yes or --dry-run");
  if (auto code = read_command(context, *options, args)) return *code;
  if (from == to) return refuse_usage(context, *options, "both queues are '" + from + "'");
  if (json && !yes && !dry_run) return refuse_usage(context, *options, "--json cannot ask: add --yes");
  auto settings = load_command_settings(context);
  if (!settings) return exit_code::usage;
  KeeperSession session(std::move(*settings));
  auto keeper = session.keeper();
  if (!keeper) return print_keeper_failure(context, keeper.error());

  auto counted =
      session.find(**keeper, from, filter, limit,
                   [](KeeperSession::Page&&) -> Expected<std::uint64_t> { return std::uint64_t{0}; });
  if (!counted) return print_keeper_failure(context, counted.error());
  if (!dry_run && !yes && *counted > 0 &&
      !asks_and_agrees(context,
                       "Move " + std::to_string(*counted) + " message(s) from " + from + " to " + to + "?")) {
    context.err << "Aborted!\n";
    return exit_code::failure;
  }
  // No more than were there: a producer at work would keep us busy for ever.
  std::uint64_t moved = 0, left = dry_run ? 0 : *counted;
  while (left > 0) {
    std::uint64_t now = 0;
    auto found = session.find(**keeper, from, filter, left, [&](KeeperSession::Page&& page) {
      auto count =
          session.wait<std::uint64_t>([&](auto answer) { (*keeper)->move(std::move(page), to, answer); });
      if (count) now += *count;
      return count;
    });
    moved += now;
    if (!found) {
      context.err << "Moved " << moved << " message(s), then:\n";
      return print_keeper_failure(context, found.error());
    }
    if (now == 0) break;  // consumers were faster
    left -= std::min(left, now);
  }
  const auto count = dry_run ? *counted : moved;
  if (json)
    context.out << dump_json(Json{{"from", from}, {"to", to}, {dry_run ? "matching" : "moved", count}})
                << "\n";
  else
    context.out << (dry_run ? "Would move " : "Moved ") << count << " message" << (count == 1 ? "" : "s")
                << " from " << from << " to " << to << ".\n";
  return exit_code::ok;
}

}  // namespace celeriac
