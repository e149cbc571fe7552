#include "worker/control/command_table.hpp"

#include "worker/logging.hpp"

namespace celeriac {

const std::vector<ControlCommand>& control_commands() {
  using K = CommandKind;
  using A = ArgumentKind;
  const auto make = [](K kind, std::string_view name, std::string_view help, auto run) {
    ControlCommand command;
    command.kind = kind;
    command.name = name;
    command.help = help;
    command.run = run;
    return command;
  };
  static const std::vector<ControlCommand> table = [&] {
    std::vector<ControlCommand> t;
    const auto inspect = [&](std::string_view name, std::string_view help, auto run) -> ControlCommand& {
      return t.emplace_back(make(K::inspect, name, help, run));
    };
    const auto control = [&](std::string_view name, std::string_view help, auto run) -> ControlCommand& {
      return t.emplace_back(make(K::control, name, help, run));
    };
    inspect("active", "tasks that run now", remote::active).alias = "dump_active";
    inspect("active_queues", "queues the node consumes from", remote::active_queues).signature.open = false;
    inspect("clock", "the node's logical clock", remote::clock);
    auto& conf = inspect("conf", "settings that differ from their defaults", remote::conf);
    conf.alias = "dump_conf";
    conf.usage = "[with_defaults]";
    conf.positional = {{"with_defaults", A::truth}};
    auto& hello = inspect("hello", "revoked ids and clock, for a node that starts", remote::hello);
    hello.signature.required = {"from_node"};
    hello.visible = false;
    auto& memdump = inspect("memdump", "memory samples taken so far", remote::memdump);
    memdump.usage = "[samples=10]";
    memdump.positional = {{"samples", A::integer}};
    inspect("memsample", "memory the node uses now", remote::memsample);
    auto& objgraph = inspect("objgraph", "Python's object graph; refused here", remote::objgraph);
    objgraph.usage = "[type] [num [max_depth]]";
    objgraph.positional = {{"type", A::text}, {"num", A::integer}, {"max_depth", A::integer}};
    inspect("ping", "whether the node answers", remote::ping);
    auto& query = inspect("query_task", "tasks by id, when they are on the node", remote::query_task);
    query.signature.required = {"ids"};
    query.usage = "id...";
    query.rest = "ids";
    auto& registered = inspect("registered", "tasks the node can run", remote::registered);
    registered.alias = "dump_tasks";
    registered.usage = "[attribute...]";
    registered.rest = "taskinfoitems";
    inspect("report", "versions and settings, for a bug report", remote::report).signature.open = false;
    inspect("reserved", "tasks that wait for a slot", remote::reserved).alias = "dump_reserved";
    inspect("revoked", "revoked task ids", remote::revoked).alias = "dump_revoked";
    inspect("scheduled", "tasks that wait for their ETA", remote::scheduled).alias = "dump_schedule";
    inspect("stats", "counters, pool, broker and resources", remote::stats);

    auto& add = control("add_consumer", "consume from one more queue", remote::add_consumer);
    add.signature.required = {"queue"};
    add.usage = "queue [exchange [type [routing_key]]]";
    add.positional = {
        {"queue", A::text}, {"exchange", A::text}, {"exchange_type", A::text}, {"routing_key", A::text}};
    auto& autoscale = control("autoscale", "change the bounds of autoscaling", remote::autoscale);
    autoscale.signature = {{}, {"max", "min"}, false};
    autoscale.usage = "[max [min]]";
    autoscale.positional = {{"max", A::integer}, {"min", A::integer}};
    auto& cancel = control("cancel_consumer", "consume from a queue no more", remote::cancel_consumer);
    cancel.signature.required = {"queue"};
    cancel.usage = "queue";
    cancel.positional = {{"queue", A::text}};
    control("disable_events", "send no task events any more", remote::disable_events).signature.open = false;
    auto& election = control("election", "let one node do something", remote::election);
    election.signature.required = {"id", "topic"};
    control("enable_events", "send task events", remote::enable_events).signature.open = false;
    control("heartbeat", "send a heartbeat event now", remote::heartbeat).signature.open = false;
    auto& grow = control("pool_grow", "add slots", remote::pool_grow);
    grow.usage = "[n=1]";
    grow.positional = {{"n", A::integer}};
    control("pool_restart", "refused: slots are replaced one by one", remote::pool_restart);
    auto& shrink = control("pool_shrink", "take slots away, idle ones first", remote::pool_shrink);
    shrink.usage = "[n=1]";
    shrink.positional = {{"n", A::integer}};
    auto& rate = control("rate_limit", "change a task's rate limit", remote::rate_limit);
    rate.signature.required = {"task_name", "rate_limit"};
    rate.usage = "task rate (5/s, 5/m, 5/h)";
    rate.positional = {{"task_name", A::text}, {"rate_limit", A::text}};
    auto& revoke = control("revoke", "tasks that must not run", remote::revoke);
    revoke.signature.required = {"task_id"};
    revoke.usage = "id...";
    revoke.rest = "task_id";
    auto& stamped = control("revoke_by_stamped_headers", "tasks with these stamps must not run",
                            remote::revoke_by_stamped_headers);
    stamped.signature.required = {"headers"};
    stamped.usage = "header=value...";
    stamped.rest = "headers";
    auto& shutdown = control("shutdown", "end the node when its running tasks are done", remote::shutdown);
    shutdown.answers = false;
    auto& terminate = control("terminate", "revoke tasks and end their runs", remote::terminate);
    terminate.signature.required = {"signal", "task_id"};
    terminate.usage = "signal id...";
    terminate.positional = {{"signal", A::text}};
    terminate.rest = "task_id";
    auto& limits = control("time_limit", "change a task's time limits", remote::time_limit);
    limits.usage = "task soft [hard]";
    limits.positional = {{"task_name", A::text}, {"soft", A::number}, {"hard", A::number}};
    return t;
  }();
  return table;
}

const ControlCommand* find_control_command(std::string_view name) {
  if (name.empty()) return nullptr;
  for (const ControlCommand& command : control_commands()) {
    if (command.name == name || command.alias == name) return &command;
  }
  return nullptr;
}

std::optional<Json> run_control_command(ControlPanel& panel, std::string_view method, const Json& arguments) {
  const ControlCommand* command = find_control_command(method);
  Expected<Json> answer = Json(nullptr);
  if (!command) {
    answer = unexpected(exception_repr("KeyError", method));
  } else if (auto fits = check_arguments(command->name, command->signature, arguments); !fits) {
    answer = tl::unexpected(fits.error());
  } else {
    answer = command->run(panel, CommandArguments(arguments));
    if (!command->answers) return std::nullopt;
  }
  if (answer) return std::move(*answer);
  log(LogLevel::error, "pidbox command error: " + answer.error().what);
  return remote::nok(answer.error().what);
}

}  // namespace celeriac
