#include "cli/eta_command.hpp"

#include "cli/command_line.hpp"
#include "cli/keeper_session.hpp"
#include "cli/table.hpp"
#include "protocol/result.hpp"
#include "protocol/time.hpp"

#include <algorithm>
#include <map>
#include <ostream>

namespace celeriac {
namespace {

struct Found {
  DelayedMessage message;
  MessageFacts facts;
};

struct Options {
  std::string queue;
  std::vector<std::string> ids;
  MessageFilter filter;
  std::uint64_t limit = 100;
  bool all = false, yes = false, json = false;
};

// By due time. A message may be met twice while the server is asked page by page.
Expected<std::vector<Found>> delayed(KeeperSession& session, QueueKeeper& keeper, const Options& options) {
  std::map<std::string, Found> by_id;
  auto count = session.wait<std::uint64_t>(
      [&](auto answer) {
        keeper.delayed(
            [&](std::vector<DelayedMessage>&& page) {
              for (auto& message : page) {
                auto facts = message_facts(message.bytes);
                if (!options.queue.empty() && message.queue != options.queue) continue;
                if (!options.ids.empty() &&
                    std::find(options.ids.begin(), options.ids.end(), facts.id) == options.ids.end())
                  continue;
                if (!options.filter.empty() && !options.filter.matches(facts, message.bytes)) continue;
                auto id = message.id;
                by_id.insert_or_assign(std::move(id), Found{std::move(message), std::move(facts)});
              }
            },
            answer);
      },
      std::nullopt);
  if (!count) return tl::unexpected(count.error());
  std::vector<Found> out;
  for (auto& [id, found] : by_id) out.push_back(std::move(found));
  std::sort(out.begin(), out.end(), [](auto& a, auto& b) { return a.message.due < b.message.due; });
  return out;
}

std::string until(double due, double now) {
  const auto left = static_cast<std::int64_t>(std::max(0.0, due - now));
  if (left < 60) return std::to_string(left) + "s";
  if (left < 3600) return std::to_string(left / 60) + "m " + std::to_string(left % 60) + "s";
  if (left < 86400) return std::to_string(left / 3600) + "h " + std::to_string(left / 60 % 60) + "m";
  return std::to_string(left / 86400) + "d " + std::to_string(left / 3600 % 24) + "h";
}

int list(CommandContext& context, std::vector<Found> all, const Options& options) {
  const auto total = all.size();
  if (all.size() > options.limit) all.resize(options.limit);
  if (options.json) {
    Json out = Json::array();
    for (const auto& found : all) {
      Json row = Json::object();
      row["due"] = format_iso8601(found.message.due);
      row["queue"] = found.message.queue;
      row["held_by_python"] = !found.message.movable;
      row.update(found.facts.json());
      out.push_back(std::move(row));
    }
    context.out << dump_json(out) << "\n";
    return exit_code::ok;
  }
  if (all.empty()) {
    context.err << "No message waits for its time.\n";
    return exit_code::ok;
  }
  const double now = unix_now();
  Table table({{"DUE"}, {"IN", Table::Align::right}, {"QUEUE"}, {"ID"}, {"TASK"}});
  for (const auto& found : all)
    table.add({short_time(found.message.due), until(found.message.due, now),
               found.message.queue + (found.message.movable ? "" : " (Python)"), found.facts.id,
               found.facts.call()});
  context.out << table.text(terminal_width(), use_color(context.globals.no_color));
  if (total > all.size()) context.err << "... and " << total - all.size() << " more: --limit\n";
  return exit_code::ok;
}

// Clients that wait for a cancelled task learn of it as they do of a revoked one.
void store_revoked(CommandContext& context, KeeperSession& session, const std::vector<Found>& cancelled) {
  if (session.settings().result_backend.empty()) return;
  auto results = session.results();
  if (!results) {
    context.err << "Warning: " << results.error().what << "; clients are not told\n";
    return;
  }
  for (const auto& found : cancelled) {
    TaskResult row;
    row.task_id = found.facts.id;
    row.status = state::revoked;
    row.result = ExceptionInfo{"TaskRevokedError", "celery.exceptions", "[\"revoked\"]"}.json();
    row.date_done = unix_now();
    auto stored = session.wait_done([&](Done done) { (*results)->store(row, std::move(done)); });
    if (!stored)
      context.err << "Warning: the result of " << row.task_id << ": " << stored.error().what << "\n";
  }
}

int change(CommandContext& context, KeeperSession& session, QueueKeeper& keeper, std::vector<Found> all,
           const Options& options, bool run) {
  const auto foreign = std::erase_if(all, [](const Found& found) { return !found.message.movable; });
  if (foreign > 0)
    context.err << "Warning: " << foreign
                << " message(s) are in a Python worker's memory and stay there; `celeriac control revoke ID` "
                   "keeps it from running them\n";
  const auto question = std::string(run ? "Run " : "Cancel ") + std::to_string(all.size()) + " message(s)" +
                        (run ? " now?" : " for good?");
  if (!options.yes && !all.empty() && !asks_and_agrees(context, question)) {
    context.err << "Aborted!\n";
    return exit_code::failure;
  }
  std::uint64_t total = 0;
  std::vector<Found> cancelled;
  for (auto& found : all) {
    auto count = session.wait<std::uint64_t>([&](auto answer) {
      std::vector<DelayedMessage> one(1, found.message);
      run ? keeper.hasten(std::move(one), answer) : keeper.cancel(std::move(one), answer);
    });
    if (!count) return print_keeper_failure(context, count.error());
    total += *count;
    if (*count > 0 && !run) cancelled.push_back(std::move(found));
  }
  store_revoked(context, session, cancelled);
  if (options.json)
    context.out << dump_json(Json{{run ? "running" : "cancelled", total}}) << "\n";
  else
    context.out << (run ? "Sent " : "Cancelled ") << total << " message" << (total == 1 ? "" : "s")
                << (run ? " to run now.\n" : ".\n");
  const bool missed = total < options.ids.size();
  if (missed) context.err << "Some ids do not wait for their time (any more).\n";
  return missed ? exit_code::failure : exit_code::ok;
}

}  // namespace

int eta_command(CommandContext& context, const Arguments& args) {
  auto options =
      command_options("celeriac eta", "Looks after messages that wait for their ETA or countdown.");
  Options given;
  auto* ls = options->add_subcommand("ls", "list them, the next one first");
  auto* run = options->add_subcommand("run-now", "run them without waiting");
  auto* cancel = options->add_subcommand("cancel", "drop them; their results become REVOKED");
  options->require_subcommand(1);
  for (auto* command : {ls, run, cancel}) {
    command->add_option("-Q,--queue", given.queue, "only those of this queue");
    command->add_flag("--json", given.json, "print JSON");
  }
  add_filter_options(*ls, given.filter);
  ls->add_option("--limit", given.limit, "at most so many")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  for (auto* command : {run, cancel}) {
    command->add_option("ids", given.ids, "task ids");
    command->add_option("--task", given.filter.task, "those of this task; * and ? as in a shell")
        ->type_name("NAME");
    command->add_flag("--all", given.all, "all that the other options mean");
    command->add_flag("-y,--yes", given.yes, "do not ask");
  }
  if (auto code = read_command(context, *options, args)) return *code;
  if (!ls->parsed() && given.ids.empty() && !given.all && given.filter.empty() && given.queue.empty())
    return refuse_usage(context, *options, "name the tasks, or say --all");
  if (!ls->parsed() && given.json && !given.yes)
    return refuse_usage(context, *options, "--json cannot ask: add --yes");
  auto settings = load_command_settings(context);
  if (!settings) return exit_code::usage;
  KeeperSession session(std::move(*settings));
  auto keeper = session.keeper();
  if (!keeper) return print_keeper_failure(context, keeper.error());
  auto all = delayed(session, **keeper, given);
  if (!all) return print_keeper_failure(context, all.error());
  if (ls->parsed()) return list(context, std::move(*all), given);
  return change(context, session, **keeper, std::move(*all), given, run->parsed());
}

}  // namespace celeriac
