#include "cli/purge_command.hpp"

#include "cli/application.hpp"
#include "cli/command_line.hpp"
#include "cli/keeper_session.hpp"
#include "cli/table.hpp"
#include "protocol/json.hpp"

#include <ostream>

namespace celeriac {
namespace {

std::string plural(std::uint64_t n, const char* word) { return std::string(word) + (n == 1 ? "" : "s"); }

bool confirmed(CommandContext& context, const std::set<std::string>& queues, std::uint64_t waiting) {
  std::string names;
  for (const auto& queue : queues) names += (names.empty() ? "" : ", ") + queue;
  bool color = use_color(context.globals.no_color);
  context.out << (color ? "\x1b[31mWARNING\x1b[0m" : "WARNING") << ": " << waiting << " waiting "
              << plural(waiting, "message") << " of " << queues.size() << " "
              << plural(queues.size(), "queue") << " will be dropped for good: " << names
              << "\n(--yes leaves this question out)\n\n";
  return asks_and_agrees(context, "Drop them?");
}

}  // namespace

int purge_command(CommandContext& context, const Arguments& args) {
  auto options = command_options("celeriac purge",
                                 "Drops the messages that wait in queues. What workers hold is not touched.");
  bool force = false, json = false;
  std::vector<std::string> named, excluded;
  options->add_flag("-f,--force,-y,--yes", force, "do not ask");
  options->add_option("-Q,--queues", named, "default: every queue the tasks and settings name")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("A,B,...");
  options->add_option("-X,--exclude-queues", excluded, "of these, not to purge")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("A,B,...");
  options->add_flag("--json", json, "print counts as JSON; needs --yes");
  if (auto code = read_command(context, *options, args)) return *code;
  if (json && !force) return refuse_usage(context, *options, "--json cannot ask: add --yes");

  auto settings = load_command_settings(context);
  if (!settings) return exit_code::usage;
  std::set<std::string> queues(named.begin(), named.end());
  if (named.empty()) queues = known_queues(context.app, *settings);
  for (const auto& name : excluded) queues.erase(name);
  if (queues.empty()) return exit_code::ok;

  Session session(std::move(*settings));
  auto broker = session.broker();
  if (broker && !force) {
    auto infos = session.wait<std::vector<QueueInfo>>([&](auto answer) {
      (*broker)->inspect({queues.begin(), queues.end()}, answer);
    });
    std::uint64_t waiting = 0;
    if (!infos)
      broker = tl::unexpected(infos.error());
    else
      for (const auto& info : *infos) waiting += info.ready;
    if (broker && !confirmed(context, queues, waiting)) {
      context.err << "Aborted!\n";
      return exit_code::failure;
    }
  }
  std::uint64_t total = 0;
  Json counts = Json::object();
  for (const auto& queue : queues) {
    if (!broker) break;
    auto dropped = session.wait<std::uint64_t>([&](auto answer) { (*broker)->purge(queue, answer); });
    if (!dropped)
      broker = tl::unexpected(dropped.error());
    else
      total += *dropped, counts[queue] = *dropped;
  }
  if (!broker) {
    context.err << "Error: " << broker.error().what << "\n";
    return exit_code::unavailable;
  }
  if (json) {
    context.out << dump_json(Json{{"purged", total}, {"queues", counts}}) << "\n";
  } else if (total > 0) {
    context.out << "Purged " << total << " " << plural(total, "message") << " from " << queues.size()
                << " known task " << plural(queues.size(), "queue") << ".\n";
  } else {
    context.out << "No messages purged from " << queues.size() << " " << plural(queues.size(), "queue")
                << ".\n";
  }
  return exit_code::ok;
}

}  // namespace celeriac
