#include "cli/call_command.hpp"

#include "cli/command_line.hpp"
#include "cli/print_result.hpp"
#include "cli/session.hpp"
#include "protocol/time.hpp"
#include "worker/client/task_message.hpp"

#include <charconv>
#include <ostream>

namespace celeriac {
namespace {

struct Call {
  std::string name, args = "[]", kwargs = "{}", eta, expires, queue, id;
  std::optional<double> countdown, timeout;
  std::optional<int> priority;
  bool wait = false, json = false;
};

// ISO 8601, or seconds from now.
Expected<double> read_time(const std::string& text, const char* option) {
  double seconds = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc{} && end == text.data() + text.size()) return unix_now() + seconds;
  auto time = parse_iso8601(text);
  if (!time) return unexpected(std::string(option) + ": " + time.error().what);
  return time;
}

Expected<Json> read_argument(const std::string& text, const char* option, bool array) {
  auto value = parse_json(text);
  if (!value) return unexpected(std::string(option) + " is not JSON: " + value.error().what);
  if (array ? !value->is_array() : !value->is_object())
    return unexpected(std::string(option) + (array ? " must be a JSON array" : " must be a JSON object"));
  return value;
}

Expected<SendRequest> make_request(const Call& call, const Settings& settings, const App& app) {
  auto args = read_argument(call.args, "--args", true);
  if (!args) return tl::unexpected(args.error());
  auto kwargs = read_argument(call.kwargs, "--kwargs", false);
  if (!kwargs) return tl::unexpected(kwargs.error());

  SendOptions options;
  options.task_id = call.id;
  options.queue = call.queue;
  options.countdown = call.countdown;
  options.priority = call.priority;
  options.ignore_result = false;
  if (!call.eta.empty()) {
    auto eta = parse_iso8601(call.eta);
    if (!eta) return unexpected("--eta: " + eta.error().what);
    options.eta = *eta;
  }
  if (!call.expires.empty()) {
    auto expires = read_time(call.expires, "--expires");
    if (!expires) return tl::unexpected(expires.error());
    options.expires = *expires;
  }
  return client_message(call.name, std::move(*args), std::move(*kwargs),
                        complete_options(call.name, std::move(options), settings, app));
}

}  // namespace

int call_command(CommandContext& context, const Arguments& args) {
  auto options =
      command_options("celeriac call", "Sends a task, as Celery's apply_async does, and prints its id.");
  Call call;
  std::string serializer = "json";
  options->add_option("name", call.name, "the task")->required();
  options->add_option("-a,--args", call.args, "JSON array")->capture_default_str()->type_name("JSON");
  options->add_option("-k,--kwargs", call.kwargs, "JSON object")->capture_default_str()->type_name("JSON");
  auto* eta = options->add_option("--eta", call.eta, "not before this time")->type_name("ISO8601");
  options->add_option("--countdown", call.countdown, "not before so long from now")
      ->excludes(eta)
      ->type_name("SECONDS");
  options->add_option("--expires", call.expires, "not after: a time, or seconds from now")->type_name("TIME");
  options->add_option("--queue", call.queue, "default: by task_routes, the task, task_default_queue");
  options->add_option("--priority", call.priority, "0 to 255")->check(CLI::Range(0, 255))->type_name("N");
  options->add_option("--serializer", serializer, "of the arguments")->check(CLI::IsMember({"json"}));
  options->add_option("--task-id", call.id, "default: a random UUID");
  auto* wait = options->add_flag("--wait", call.wait, "wait for the result and print it instead of the id");
  options->add_option("--timeout", call.timeout, "how long to wait; default: for ever")
      ->needs(wait)
      ->check(CLI::NonNegativeNumber)
      ->type_name("SECONDS");
  options->add_flag("--json", call.json, "print JSON");
  if (auto code = read_command(context, *options, args)) return *code;

  auto settings = load_command_settings(context);
  if (!settings) return exit_code::usage;
  auto request = make_request(call, *settings, context.app);
  if (!request) return refuse_usage(context, *options, request.error().what);
  auto& message = request->outgoing.message;
  const auto id = request->task_id, queue = request->outgoing.queue;

  Session session(std::move(*settings));
  auto fail = [&](const Error& error) {
    context.err << "Error: " << error.what << "\n";
    return exit_code::unavailable;
  };
  if (call.wait)
    if (auto results = session.results(); !results)
      return refuse_usage(context, *options, "--wait: " + results.error().what);
  auto broker = session.broker();
  if (!broker) return fail(broker.error());
  auto sent = session.wait_done([&](Done done) { (*broker)->publish(std::move(message), std::move(done)); });
  if (!sent) return fail(sent.error());
  if (call.wait) return print_result(context, session, id, {call.timeout, call.json, false});
  if (call.json)
    context.out << dump_json(Json{{"id", id}, {"task", call.name}, {"queue", queue}}) << "\n";
  else
    context.out << id << "\n";
  return exit_code::ok;
}

}  // namespace celeriac
