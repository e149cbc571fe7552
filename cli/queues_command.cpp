#include "cli/queues_command.hpp"

#include "cli/application.hpp"
#include "cli/command_line.hpp"
#include "cli/session.hpp"
#include "cli/table.hpp"
#include "protocol/json.hpp"

#include <ostream>

namespace celeriac {
namespace {

Json as_json(const QueueInfo& info) {
  Json out = Json::object();
  out["name"] = info.name;
  out["ready"] = info.ready;
  Json priorities = Json::object();
  for (const auto& [step, count] : info.by_priority) priorities[std::to_string(step)] = count;
  out["by_priority"] = std::move(priorities);
  out["unacked"] = info.unacked;
  out["delayed"] = info.delayed;
  out["dead"] = info.dead;
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

}  // namespace

int queues_command(CommandContext& context, const Arguments& args) {
  auto options =
      command_options("celeriac queues",
                      "Shows each queue: messages ready (and by priority), held by workers, waiting for "
                      "their time, and dead letters.");
  std::vector<std::string> named;
  bool json = false;
  options->add_option("-Q,--queues", named, "these as well as the ones the tasks and settings name")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("A,B,...");
  options->add_flag("--json", json, "print JSON");
  if (auto code = read_command(context, *options, args)) return *code;

  auto settings = load_command_settings(context);
  if (!settings) return exit_code::usage;
  auto names = known_queues(context.app, *settings);
  names.insert(named.begin(), named.end());
  Session session(std::move(*settings));
  auto broker = session.broker();
  Expected<std::vector<QueueInfo>> queues = tl::unexpected(Error{});
  if (broker)
    queues = session.wait<std::vector<QueueInfo>>([&](auto answer) {
      (*broker)->inspect({names.begin(), names.end()}, answer);
    });
  else
    queues = tl::unexpected(broker.error());
  if (!queues) {
    context.err << "Error: " << queues.error().what << "\n";
    return exit_code::unavailable;
  }

  if (json) {
    Json out = Json::array();
    for (const auto& info : *queues) out.push_back(as_json(info));
    context.out << dump_json(out) << "\n";
    return exit_code::ok;
  }
  using Align = Table::Align;
  Table table({{"QUEUE"},
               {"READY", Align::right},
               {"BY PRIORITY"},
               {"UNACKED", Align::right},
               {"DELAYED", Align::right},
               {"DEAD", Align::right},
               {"CONSUMERS", Align::right}});
  for (const auto& info : *queues)
    table.add({info.name, std::to_string(info.ready), priorities(info), std::to_string(info.unacked),
               std::to_string(info.delayed), std::to_string(info.dead),
               info.consumers < 0 ? "?" : std::to_string(info.consumers)});
  context.out << table.text(terminal_width(), use_color(context.globals.no_color));
  return exit_code::ok;
}

}  // namespace celeriac
