#include "cli/tasks_command.hpp"

#include "cli/command_line.hpp"
#include "cli/keeper_session.hpp"
#include "cli/remote_command.hpp"
#include "cli/table.hpp"
#include "protocol/time.hpp"
#include "queues/ledger.hpp"

#include <ostream>

namespace celeriac {
namespace {

struct Options {
  LedgerQuery query;
  std::string since, id;
  bool yes = false, json = false, terminate = false;
};

// The session's ledger, used as if it were blocking.
class LedgerReader {
 public:
  explicit LedgerReader(KeeperSession& session) : session_(session) {}

  Expected<std::vector<LedgerRow>> find(const LedgerQuery& query) {
    if (!ledger_) {
      auto ledger = Ledger::connect(session_.io(), session_.settings());
      if (!ledger) return tl::unexpected(ledger.error());
      if (!*ledger) return unexpected("there is no ledger: set ledger_url (docs/ledger.md)");
      ledger_ = std::move(*ledger);
      ledger_->start([this](BrokerState state, const std::string& what) {
        if (state == BrokerState::lost) lost_ = what;
      });
    }
    auto rows = session_.wait<std::vector<LedgerRow>>([&](auto answer) { ledger_->find(query, answer); },
                                                      KeeperSession::Seconds(10));
    if (!rows && !lost_.empty()) return unexpected("ledger " + ledger_->display_url() + ": " + lost_);
    return rows;
  }

 private:
  KeeperSession& session_;
  std::unique_ptr<Ledger> ledger_;
  std::string lost_;
};

Json as_json(const LedgerRow& row) {
  const auto text = [](const std::string& value) { return value.empty() ? Json(nullptr) : Json(value); };
  const auto time = [](double value) { return value > 0 ? Json(format_iso8601(value)) : Json(nullptr); };
  Json out = Json::object();
  out["run"] = row.run;
  out["id"] = row.task_id;
  out["task"] = row.task;
  out["queue"] = row.queue;
  out["state"] = row.state;
  out["attempt"] = row.attempt;
  out["worker"] = row.worker;
  out["received"] = time(row.received);
  out["started"] = time(row.started);
  out["ended"] = time(row.ended);
  out["runtime_ms"] = row.runtime_ms;
  out["cpu_ms"] = row.cpu_ms;
  out["peak_rss_kib"] = row.peak_rss_kib;
  out["cause"] = text(row.cause);
  out["traceback"] = text(row.traceback);
  out["args"] = text(row.args);
  out["kwargs"] = text(row.kwargs);
  out["result"] = text(row.result);
  out["root_id"] = text(row.root_id);
  out["parent_id"] = text(row.parent_id);
  return out;
}

int list(CommandContext& context, const std::vector<LedgerRow>& rows, const Options& options) {
  if (options.json) {
    Json out = Json::array();
    for (const auto& row : rows) out.push_back(as_json(row));
    context.out << dump_json(out) << "\n";
    return exit_code::ok;
  }
  if (rows.empty()) {
    context.err << "No such runs.\n";
    return exit_code::ok;
  }
  using Align = Table::Align;
  Table table({{"ENDED"}, {"STATE"}, {"QUEUE"}, {"ID"}, {"TASK"}, {"MS", Align::right}, {"CAUSE"}});
  for (const auto& row : rows)
    table.add({short_time(row.ended), row.state, row.queue, row.task_id, row.task,
               std::to_string(row.runtime_ms), row.cause.substr(0, row.cause.find('\n'))});
  context.out << table.text(terminal_width(), use_color(context.globals.no_color));
  if (rows.size() == static_cast<std::size_t>(options.query.limit))
    context.err << "Older ones: --before " << rows.back().run << "\n";
  return exit_code::ok;
}

int show(CommandContext& context, const std::vector<LedgerRow>& rows, const Options& options) {
  if (rows.empty()) {
    context.err << "Error: the ledger knows no run of task " << options.id << "\n";
    return exit_code::failure;
  }
  if (options.json) {
    Json out = Json::array();
    for (const auto& row : rows) out.push_back(as_json(row));
    context.out << dump_json(out) << "\n";
    return exit_code::ok;
  }
  const auto line = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) context.out << name << std::string(12 - name.size(), ' ') << value << "\n";
  };
  for (const auto& row : rows) {
    if (&row != &rows.front()) context.out << "\n";
    line("task", row.task);
    line("id", row.task_id);
    line("state", row.state);
    line("attempt", std::to_string(row.attempt));
    line("queue", row.queue);
    line("worker", row.worker);
    line("received", row.received > 0 ? short_time(row.received) : "");
    line("started", row.started > 0 ? short_time(row.started) : "never");
    line("ended", short_time(row.ended));
    line("runtime",
         std::to_string(row.runtime_ms) + " ms, CPU " + std::to_string(row.cpu_ms) + " ms" +
             (row.peak_rss_kib > 0 ? ", peak " + std::to_string(row.peak_rss_kib / 1024) + " MiB" : ""));
    line("args", row.args);
    line("kwargs", row.kwargs);
    line("result", row.result);
    line("cause", row.cause);
    line("traceback", row.traceback.empty() ? "" : "\n" + row.traceback);
  }
  return exit_code::ok;
}

int retry(CommandContext& context, KeeperSession& session, const std::vector<LedgerRow>& rows,
          const Options& options) {
  if (rows.empty()) {
    context.err << "Error: the ledger knows no run of task " << options.id << "\n";
    return exit_code::failure;
  }
  auto message = message_of(rows.front());
  if (!message) {
    context.err << "Error: " << message.error().what << "\n";
    return exit_code::failure;
  }
  const auto& row = rows.front();
  if (!options.yes && !asks_and_agrees(context, "Run " + row.task + " " + row.task_id + " (" + row.state +
                                                    ") again in queue " + row.queue + "?")) {
    context.err << "Aborted!\n";
    return exit_code::failure;
  }
  auto broker = session.broker();
  if (!broker) return print_keeper_failure(context, broker.error());
  auto sent = session.wait_done([&](Done done) { (*broker)->publish(std::move(*message), std::move(done)); });
  if (!sent) return print_keeper_failure(context, sent.error());
  if (options.json)
    context.out << dump_json(Json{{"id", row.task_id}, {"queue", row.queue}}) << "\n";
  else
    context.out << "Sent " << row.task_id << " to " << row.queue << ".\n";
  return exit_code::ok;
}

int cancel(CommandContext& context, KeeperSession& session, const Options& options) {
  RemoteOptions remote;
  Json arguments = Json::object();
  arguments["task_id"] = Json::array({options.id});
  arguments["terminate"] = options.terminate;
  auto replies = ask_nodes(session, remote, "revoke", std::move(arguments), true, [](const ControlReply&) {});
  if (!replies) return print_keeper_failure(context, replies.error());
  if (replies->empty()) {
    context.err << "Error: no worker answered; nobody will remember it\n";
    return exit_code::unavailable;
  }
  if (options.json)
    context.out << dump_json(Json{{"id", options.id}, {"workers", replies->size()}}) << "\n";
  else
    context.out << "Told " << replies->size() << " worker" << (replies->size() == 1 ? "" : "s")
                << " not to run " << options.id << (options.terminate ? ", or to end it" : "") << ".\n";
  return exit_code::ok;
}

}  // namespace

int tasks_command(CommandContext& context, const Arguments& args) {
  auto options =
      command_options("celeriac tasks", "The history of runs that workers keep in the ledger (ledger_url).");
  Options given;
  auto* ls = options->add_subcommand("ls", "list runs, the newest first");
  auto* one = options->add_subcommand("show", "everything about the runs of one task");
  auto* again = options->add_subcommand("retry", "send a task's message again as it was, under the same id");
  auto* stop = options->add_subcommand("cancel", "revoke a task that waits or runs");
  options->require_subcommand(1);
  auto& query = given.query;
  ls->add_option("--task", query.task, "only this task")->type_name("NAME");
  ls->add_option("-Q,--queue", query.queue, "only of this queue");
  ls->add_option("--state", query.state, "SUCCESS, FAILURE, RETRY, REVOKED, IGNORED or REJECTED");
  ls->add_option("--worker", query.worker, "only of this node");
  ls->add_option("--words", query.words, "only with these words in name, id, arguments, cause or result");
  ls->add_option("--since", given.since, "only runs that ended after this time")->type_name("ISO8601");
  ls->add_option("--before", query.before, "only runs recorded before this one")->type_name("RUN");
  ls->add_option("--limit", query.limit, "at most so many")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  for (auto* command : {one, again, stop}) command->add_option("id", given.id, "the task's id")->required();
  again->add_flag("-y,--yes", given.yes, "do not ask");
  stop->add_flag("--terminate", given.terminate, "also when it runs already");
  for (auto* command : {ls, one, again, stop}) command->add_flag("--json", given.json, "print JSON");
  if (auto code = read_command(context, *options, args)) return *code;
  if (again->parsed() && given.json && !given.yes)
    return refuse_usage(context, *options, "--json cannot ask: add --yes");
  if (!given.since.empty()) {
    auto since = parse_iso8601(given.since);
    if (!since) return refuse_usage(context, *options, "--since: " + since.error().what);
    query.since = *since;
  }
  auto settings = load_command_settings(context);
  if (!settings) return exit_code::usage;
  KeeperSession session(std::move(*settings));
  if (stop->parsed()) return cancel(context, session, given);
  query.task_id = given.id;
  query.with_message = again->parsed();
  LedgerReader ledger(session);
  auto rows = ledger.find(query);
  if (!rows) return print_keeper_failure(context, rows.error());
  if (ls->parsed()) return list(context, *rows, given);
  return one->parsed() ? show(context, *rows, given) : retry(context, session, *rows, given);
}

}  // namespace celeriac
