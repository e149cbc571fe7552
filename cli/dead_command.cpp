#include "cli/dead_command.hpp"

#include "cli/command_line.hpp"
#include "cli/keeper_session.hpp"
#include "cli/table.hpp"

#include <algorithm>
#include <limits>
#include <ostream>

namespace celeriac {
namespace {

constexpr std::size_t page_size = 100;

struct Options {
  std::string queue, category, to;
  std::vector<std::string> ids;
  MessageFilter filter;
  std::uint64_t limit = 100;
  bool all = false, yes = false, json = false, raw = false;
};

Json as_json(const KeptLetter& letter) {
  Json out = Json::object();
  out["letter"] = letter.id;
  out["queue"] = letter.queue;
  out["time"] = letter.time;
  out["category"] = letter.why.category;
  out["cause"] = letter.why.cause;
  out["worker"] = letter.why.worker;
  out["attempts"] = letter.why.attempts ? Json(*letter.why.attempts) : Json(nullptr);
  auto facts = message_facts(letter.bytes);
  if (facts.task.empty()) facts.task = letter.why.task;
  if (facts.id.empty()) facts.id = letter.why.task_id;
  out["message"] = facts.json();
  return out;
}

// The letters that the options mean, at most `limit`.
Expected<std::vector<KeptLetter>> chosen(KeeperSession& session, QueueKeeper& keeper, const Options& options,
                                         std::uint64_t limit) {
  std::vector<KeptLetter> out;
  for (const auto& id : options.ids) {
    auto letter = session.wait<KeptLetter>([&](auto answer) { keeper.dead_letter(id, answer); });
    if (!letter) return tl::unexpected(letter.error());
    out.push_back(std::move(*letter));
  }
  if (!options.ids.empty()) return out;
  for (std::size_t offset = 0; out.size() < limit; offset += page_size) {
    auto page = session.wait<std::vector<KeptLetter>>(
        [&](auto answer) { keeper.dead(options.queue, offset, page_size, answer); });
    if (!page) return page;
    if (page->empty()) break;
    for (auto& letter : *page) {
      if (out.size() >= limit) break;
      if (!options.category.empty() && letter.why.category != options.category) continue;
      if (!options.filter.empty() && !options.filter.matches(message_facts(letter.bytes), letter.bytes))
        continue;
      out.push_back(std::move(letter));
    }
  }
  return out;
}

int list(CommandContext& context, const std::vector<KeptLetter>& letters, bool json) {
  if (json) {
    Json out = Json::array();
    for (const auto& letter : letters) out.push_back(as_json(letter));
    context.out << dump_json(out) << "\n";
    return exit_code::ok;
  }
  if (letters.empty()) {
    context.err << "No dead letters.\n";
    return exit_code::ok;
  }
  Table table({{"LETTER"}, {"TIME"}, {"QUEUE"}, {"CATEGORY"}, {"TASK"}, {"CAUSE"}});
  for (const auto& letter : letters)
    table.add({letter.id, short_time(letter.time), letter.queue, letter.why.category,
               letter.why.task.empty() ? "-" : letter.why.task, letter.why.cause});
  context.out << table.text(terminal_width(), use_color(context.globals.no_color));
  return exit_code::ok;
}

int show(CommandContext& context, const KeptLetter& letter, const Options& options) {
  if (options.raw) {
    context.out << letter.bytes << "\n";
    return exit_code::ok;
  }
  if (options.json) {
    context.out << dump_json(as_json(letter)) << "\n";
    return exit_code::ok;
  }
  const auto facts = message_facts(letter.bytes);
  const auto line = [&](const char* name, const std::string& value) {
    if (!value.empty())
      context.out << name << std::string(12 - std::string_view(name).size(), ' ') << value << "\n";
  };
  line("letter", letter.id);
  line("queue", letter.queue);
  line("buried", short_time(letter.time));
  line("category", letter.why.category);
  line("cause", letter.why.cause);
  line("worker", letter.why.worker);
  line("attempts", letter.why.attempts ? std::to_string(*letter.why.attempts) : "");
  line("task", facts.task.empty() ? letter.why.task : facts.task);
  line("id", facts.id.empty() ? letter.why.task_id : facts.id);
  line("args", facts.args);
  line("kwargs", facts.kwargs);
  line("unreadable", facts.problem);
  line("bytes", std::to_string(letter.bytes.size()));
  context.out << "\nrequeue     celeriac dead requeue " << letter.id
              << "\nbytes       celeriac dead show --raw " << letter.id << "\n";
  return exit_code::ok;
}

int settle(CommandContext& context, KeeperSession& session, QueueKeeper& keeper,
           std::vector<KeptLetter> letters, const Options& options, bool requeue) {
  const auto question = std::string(requeue ? "Requeue " : "Discard for good ") +
                        std::to_string(letters.size()) + " dead letter(s)?";
  if (!options.yes && !letters.empty() && !asks_and_agrees(context, question)) {
    context.err << "Aborted!\n";
    return exit_code::failure;
  }
  std::vector<std::string> ids;
  for (const auto& letter : letters) ids.push_back(letter.id);
  auto count = letters.empty() ? Expected<std::uint64_t>(0) : session.wait<std::uint64_t>([&](auto answer) {
    requeue ? keeper.requeue(std::move(letters), options.to, answer) : keeper.discard(std::move(ids), answer);
  });
  if (!count) return print_keeper_failure(context, count.error());
  if (options.json)
    context.out << dump_json(Json{{requeue ? "requeued" : "discarded", *count}}) << "\n";
  else
    context.out << (requeue ? "Requeued " : "Discarded ") << *count << " dead letter"
                << (*count == 1 ? "" : "s") << ".\n";
  return exit_code::ok;
}

}  // namespace

int dead_command(CommandContext& context, const Arguments& args) {
  auto options = command_options(
      "celeriac dead",
      "Looks after dead letters: messages that could not be run, kept with their exact bytes and the cause.");
  Options given;
  auto* ls = options->add_subcommand("ls", "list them, oldest first");
  auto* one = options->add_subcommand("show", "everything about one");
  auto* requeue = options->add_subcommand("requeue", "put them back into their queues, byte for byte");
  auto* discard = options->add_subcommand("discard", "delete them for good");
  options->require_subcommand(1);
  for (auto* command : {ls, requeue, discard}) {
    command->add_option("-Q,--queue", given.queue, "only those of this queue");
    command->add_option("--category", given.category,
                        "only these: undecodable, unknown_task, refused, failed, poison, expired");
    add_filter_options(*command, given.filter);
  }
  ls->add_option("--limit", given.limit, "at most so many")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  one->add_option("letter", given.ids, "its id, from `celeriac dead ls`")->required()->expected(1);
  one->add_flag("--raw", given.raw, "print the exact bytes");
  for (auto* command : {requeue, discard}) {
    command->add_option("letters", given.ids, "ids, from `celeriac dead ls`");
    command->add_flag("--all", given.all, "all that the other options mean");
    command->add_flag("-y,--yes", given.yes, "do not ask");
  }
  requeue->add_option("--to", given.to, "into this queue instead of their own");
  for (auto* command : {ls, one, requeue, discard}) command->add_flag("--json", given.json, "print JSON");
  if (auto code = read_command(context, *options, args)) return *code;

  const bool changes = requeue->parsed() || discard->parsed();
  const bool narrowed = given.all || !given.filter.empty() || !given.queue.empty() || !given.category.empty();
  if (changes && given.ids.empty() && !narrowed)
    return refuse_usage(context, *options, "name the letters, or say --all");
  if (changes && given.json && !given.yes)
    return refuse_usage(context, *options, "--json cannot ask: add --yes");
  auto settings = load_command_settings(context);
  if (!settings) return exit_code::usage;
  KeeperSession session(std::move(*settings));
  auto keeper = session.keeper();
  if (!keeper) return print_keeper_failure(context, keeper.error());
  auto letters =
      chosen(session, **keeper, given, changes ? std::numeric_limits<std::uint64_t>::max() : given.limit);
  if (!letters) {
    context.err << "Error: " << letters.error().what << "\n";
    return session.lost() ? exit_code::unavailable : exit_code::failure;
  }
  if (changes) return settle(context, session, **keeper, std::move(*letters), given, requeue->parsed());
  return one->parsed() ? show(context, letters->front(), given) : list(context, *letters, given.json);
}

}  // namespace celeriac
