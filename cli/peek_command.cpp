#include "cli/peek_command.hpp"

#include "cli/command_line.hpp"
#include "cli/keeper_session.hpp"
#include "cli/search_command.hpp"
#include "cli/table.hpp"

#include <limits>
#include <ostream>

namespace celeriac {
namespace {

Json as_json(const WaitingMessage& message, std::uint64_t number) {
  Json out = Json::object();
  out["number"] = number;
  out["queue"] = message.queue;
  out["step"] = message.step;
  out.update(message_facts(message.bytes).json());
  return out;
}

Table message_table() {
  using Align = Table::Align;
  return Table({{"#", Align::right}, {"QUEUE"}, {"PRIORITY", Align::right}, {"ID"}, {"TASK"}});
}

void add_row(Table& table, const WaitingMessage& message, std::uint64_t number) {
  const auto facts = message_facts(message.bytes);
  table.add({std::to_string(number), message.queue, std::to_string(facts.priority.value_or(message.step)),
             facts.id.empty() ? "-" : facts.id, facts.call()});
}

// Prints what is found in these queues; the exit code.
int show(CommandContext& context, KeeperSession& session, const std::vector<std::string>& queues,
         const MessageFilter& filter, std::uint64_t limit, bool json) {
  auto keeper = session.keeper();
  if (!keeper) return print_keeper_failure(context, keeper.error());
  Json list = Json::array();
  auto table = message_table();
  std::uint64_t shown = 0;
  for (const auto& queue : queues) {
    auto found = session.find(**keeper, queue, filter, limit - shown,
                              [&](KeeperSession::Page&& page) -> Expected<std::uint64_t> {
                                for (const auto& message : page) {
                                  ++shown;
                                  if (json)
                                    list.push_back(as_json(message, shown));
                                  else
                                    add_row(table, message, shown);
                                }
                                return std::uint64_t{0};
                              });
    if (!found) return print_keeper_failure(context, found.error());
    if (shown >= limit) break;
  }
  if (json)
    context.out << dump_json(list) << "\n";
  else if (shown > 0)
    context.out << table.text(terminal_width(), use_color(context.globals.no_color));
  else
    context.err << "Nothing waits there.\n";
  return exit_code::ok;
}

}  // namespace

int peek_command(CommandContext& context, const Arguments& args) {
  auto options = command_options(
      "celeriac peek", "Shows the messages that will be delivered next, without taking them from the queue.");
  std::string queue;
  std::uint64_t count = 10;
  bool json = false, raw = false;
  options->add_option("queue", queue, "the queue")->required();
  options->add_option("-n,--count", count, "how many")->capture_default_str()->check(CLI::PositiveNumber);
  auto* as = options->add_flag("--json", json, "print JSON");
  options->add_flag("--raw", raw, "print the exact bytes, one message to a line")->excludes(as);
  if (auto code = read_command(context, *options, args)) return *code;
  auto settings = load_command_settings(context);
  if (!settings) return exit_code::usage;
  KeeperSession session(std::move(*settings));
  if (!raw) return show(context, session, {queue}, {}, count, json);

  auto keeper = session.keeper();
  if (!keeper) return print_keeper_failure(context, keeper.error());
  auto found =
      session.find(**keeper, queue, {}, count, [&](KeeperSession::Page&& page) -> Expected<std::uint64_t> {
        for (const auto& message : page) context.out << message.bytes << "\n";
        return std::uint64_t{0};
      });
  return found ? exit_code::ok : print_keeper_failure(context, found.error());
}

int search_command(CommandContext& context, const Arguments& args) {
  auto options = command_options(
      "celeriac search",
      "Looks for waiting messages. While consumers are at work, one that is taken meanwhile is not shown.");
  std::vector<std::string> queues;
  MessageFilter filter;
  std::uint64_t limit = 100;
  bool json = false;
  options->add_option("queues", queues, "where to look")->required();
  add_filter_options(*options, filter);
  options->add_option("--limit", limit, "stop after so many")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  options->add_flag("--json", json, "print JSON");
  if (auto code = read_command(context, *options, args)) return *code;
  auto settings = load_command_settings(context);
  if (!settings) return exit_code::usage;
  KeeperSession session(std::move(*settings));
  return show(context, session, queues, filter, limit, json);
}

}  // namespace celeriac
