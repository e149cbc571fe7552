#include "cli/queues_command.hpp"

#include "cli/application.hpp"
#include "cli/command_line.hpp"
#include "cli/keeper_session.hpp"
#include "cli/table.hpp"
#include "protocol/json.hpp"

#include <boost/asio/steady_timer.hpp>
#include <map>
#include <ostream>

namespace celeriac {
namespace {

using Pauses = std::map<std::string, std::string>;  // queue -> note

Json as_json(const QueueInfo& info, const Pauses& pauses) {
  Json out = Json::object();
  out["name"] = info.name;
  out["ready"] = info.ready;
  Json priorities = Json::object();
  for (const auto& [step, count] : info.by_priority) priorities[std::to_string(step)] = count;
  out["by_priority"] = std::move(priorities);
  out["unacked"] = info.unacked;
  out["delayed"] = info.delayed;
  out["dead"] = info.dead;
  const auto paused = pauses.find(info.name);
  out["paused"] = paused != pauses.end() ? Json(paused->second) : Json(nullptr);
  out["consumers"] = info.consumers < 0 ? Json(nullptr) : Json(info.consumers);
  return out;
}

// "3:12 9:4"; the first step is the plain list and says nothing by itself.
std::string priorities(const QueueInfo& info) {
  std::string out;
  for (const auto& [step, count] : info.by_priority)
    if (count > 0) out += (out.empty() ? "" : " ") + std::to_string(step) + ":" + std::to_string(count);
  return out.empty() ? "-" : out;
}

void print(CommandContext& context, const std::vector<QueueInfo>& queues, const Pauses& pauses, bool json) {
  if (json) {
    Json out = Json::array();
    for (const auto& info : queues) out.push_back(as_json(info, pauses));
    context.out << dump_json(out) << "\n";
    return;
  }
  using Align = Table::Align;
  Table table({{"QUEUE"},
               {"READY", Align::right},
               {"BY PRIORITY"},
               {"UNACKED", Align::right},
               {"DELAYED", Align::right},
               {"DEAD", Align::right},
               {"CONSUMERS", Align::right},
               {"PAUSED"}});
  for (const auto& info : queues) {
    const auto paused = pauses.find(info.name);
    table.add({info.name, std::to_string(info.ready), priorities(info), std::to_string(info.unacked),
               std::to_string(info.delayed), std::to_string(info.dead),
               info.consumers < 0 ? "?" : std::to_string(info.consumers),
               paused != pauses.end() ? paused->second : "-"});
  }
  context.out << table.text(terminal_width(), use_color(context.globals.no_color));
}

}  // namespace

int queues_command(CommandContext& context, const Arguments& args) {
  auto options =
      command_options("celeriac queues",
                      "Shows each queue: messages ready (and by priority), held by workers, waiting for "
                      "their time, dead letters, and whether it is paused.");
  std::vector<std::string> named;
  bool json = false;
  bool watch = false;
  double interval = 2;
  options->add_option("-Q,--queues", named, "these as well as the ones the tasks and settings name")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("A,B,...");
  auto* again = options->add_flag("-w,--watch", watch, "show them again and again, until interrupted");
  options->add_option("--interval", interval, "between two pictures")
      ->needs(again)
      ->capture_default_str()
      ->check(CLI::Range(0.1, 3600.0))
      ->type_name("SECONDS");
  options->add_flag("--json", json, "print JSON");
  if (auto code = read_command(context, *options, args)) return *code;

  auto settings = load_command_settings(context);
  if (!settings) return exit_code::usage;
  auto names = known_queues(context.app, *settings);
  names.insert(named.begin(), named.end());
  KeeperSession session(std::move(*settings));
  boost::asio::steady_timer timer(session.io());
  auto broker = session.broker();
  if (!broker) {
    context.err << "Error: " << broker.error().what << "\n";
    return exit_code::unavailable;
  }
  // On a terminal each picture replaces the last one; elsewhere they follow one another.
  const bool redraw = watch && terminal_width() > 0 && !json;
  for (;;) {
    auto queues = session.wait<std::vector<QueueInfo>>([&](auto answer) {
      (*broker)->inspect({names.begin(), names.end()}, answer);
    });
    if (!queues) {
      context.err << "Error: " << queues.error().what << "\n";
      return exit_code::unavailable;
    }
    Pauses pauses;
    // Where queues cannot be looked into, none can be paused.
    if (auto keeper = session.keeper()) {
      auto paused = session.wait<std::vector<std::pair<std::string, std::string>>>(
          [&](auto answer) { (*keeper)->paused(answer); });
      if (!paused) return print_keeper_failure(context, paused.error());
      pauses.insert(paused->begin(), paused->end());
    }
    if (redraw) context.out << "\x1b[H\x1b[2J";
    print(context, *queues, pauses, json);
    context.out << std::flush;
    if (!watch) return exit_code::ok;
    if (!context.out) return exit_code::failure;
    auto slept = session.wait<bool>(
        [&](auto answer) {
          timer.expires_after(std::chrono::milliseconds(static_cast<std::int64_t>(interval * 1000)));
          timer.async_wait([answer](const boost::system::error_code&) { answer(true); });
        },
        std::nullopt);
    if (!slept) {
      context.err << "Error: " << slept.error().what << "\n";
      return exit_code::unavailable;
    }
  }
}

}  // namespace celeriac
