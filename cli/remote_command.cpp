#include "cli/remote_command.hpp"

#include "cli/command_line.hpp"
#include "config/nearest.hpp"
#include "protocol/repr.hpp"
#include "protocol/time.hpp"
#include "protocol/uuid.hpp"

#include <algorithm>
#include <charconv>
#include <deque>
#include <ostream>

namespace celeriac {
namespace {

constexpr std::string_view nobody = "No nodes replied within time constraint";

std::string indented(const std::string& text, std::size_t by) {
  std::string out(by, ' ');
  for (const char c : text) {
    out += c;
    if (c == '\n') out.append(by, ' ');
  }
  return out;
}

// json.dumps(value, sort_keys=True, indent=4)
void write_pretty(const Json& value, std::size_t depth, std::string& out) {
  const bool object = value.is_object();
  if ((!object && !value.is_array()) || value.empty()) return dump_json(value, out);
  std::vector<std::pair<std::string, const Json*>> members;
  if (object) {
    for (const auto& [key, inner] : value.items()) members.emplace_back(key, &inner);
    std::sort(members.begin(), members.end());
  } else {
    for (const Json& inner : value) members.emplace_back(std::string(), &inner);
  }
  out += object ? '{' : '[';
  bool first = true;
  for (const auto& [key, inner] : members) {
    if (!std::exchange(first, false)) out += ',';
    out += '\n';
    out.append(4 * (depth + 1), ' ');
    if (object) {
      dump_json_string(key, out);
      out += ": ";
    }
    write_pretty(*inner, depth + 1, out);
  }
  out += '\n';
  out.append(4 * depth, ' ');
  out += object ? '}' : ']';
}

struct Pretty {
  std::string status, body;
};

Pretty pretty(const Json& value) {
  if (value.is_array()) {
    if (value.empty()) return {"OK", "- empty -"};
    std::string body;
    for (const Json& item : value) {
      body += (body.empty() ? "* " : "\n* ") +
              (item.is_string() ? item.get<std::string>() : python_repr(item, 0));
    }
    return {"OK", body};
  }
  if (value.is_object()) {
    if (value.contains("ok")) return {"OK", indented(pretty(value["ok"]).body, 4)};
    if (value.contains("error")) return {"ERROR", indented(pretty(value["error"]).body, 4)};
    std::string body;
    write_pretty(value, 0, body);
    return {"OK", body};
  }
  return {"OK", value.is_string() ? value.get<std::string>() : python_repr(value, 0)};
}

Expected<Json> argument_value(std::string_view name, ArgumentKind kind, const std::string& text) {
  const auto number = [&](auto value) -> Expected<Json> {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc{} && end == text.data() + text.size()) return Json(value);
    return unexpected(std::string(name) + ": '" + text + "' is no number");
  };
  switch (kind) {
    case ArgumentKind::text:
      return Json(text);
    case ArgumentKind::integer:
      return number(std::int64_t{});
    case ArgumentKind::number:
      return number(double{});
    case ArgumentKind::truth:
      break;
  }
  for (const char* yes : {"true", "yes", "on", "1", "True"})
    if (text == yes) return Json(true);
  for (const char* no : {"false", "no", "off", "0", "False"})
    if (text == no) return Json(false);
  return unexpected(std::string(name) + ": '" + text + "' is neither true nor false");
}

Expected<Json> compile_arguments(const ControlCommand& command, const std::vector<std::string>& given) {
  Json arguments = Json::object();
  const std::size_t positional = std::min(given.size(), command.positional.size());
  for (std::size_t i = 0; i < positional; ++i) {
    const auto& [name, kind] = command.positional[i];
    auto value = argument_value(name, kind, given[i]);
    if (!value) return value;
    arguments[std::string(name)] = std::move(*value);
  }
  const std::vector<std::string> rest(given.begin() + static_cast<std::ptrdiff_t>(positional), given.end());
  const std::string usage = "usage: " + std::string(command.name) + " " + std::string(command.usage);
  if (!rest.empty() && command.rest.empty()) return unexpected("too many arguments; " + usage);
  if (!command.rest.empty()) arguments[std::string(command.rest)] = rest;
  for (const std::string_view name : command.signature.required) {
    const auto found = arguments.find(name);
    if (found == arguments.end() || (found->is_array() && found->empty()))
      return unexpected("argument '" + std::string(name) + "' is missing; " + usage);
  }
  return arguments;
}

std::string listing(CommandKind kind) {
  std::string out = kind == CommandKind::inspect ? "Inspect commands:\n" : "Control commands:\n";
  for (const ControlCommand& command : control_commands()) {
    if (command.kind != kind || !command.visible) continue;
    std::string left = "  " + std::string(command.name);
    if (!command.usage.empty()) left += " " + std::string(command.usage);
    left.resize(std::max<std::size_t>(left.size() + 2, 46), ' ');
    out += left + std::string(command.help) + "\n";
  }
  return out;
}

}  // namespace

void add_remote_options(CLI::App& options, RemoteOptions& remote) {
  options.add_option("-t,--timeout", remote.timeout, "how long to wait for the next reply")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->type_name("SECONDS");
  options.add_option("-d,--destination", remote.destination, "only these nodes; default: all")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("NODE,...");
  options.add_flag("-j,--json", remote.json, "print JSON");
}

Expected<std::vector<ControlReply>> ask_nodes(Session& session, const RemoteOptions& remote,
                                              const std::string& method, Json arguments, bool answers,
                                              const std::function<void(const ControlReply&)>& on_reply) {
  auto broker = session.broker();
  if (!broker) return tl::unexpected(broker.error());
  if (!(*broker)->can_broadcast()) return unexpected("this broker has no remote control");

  ControlRequest request;
  request.method = method;
  request.arguments = std::move(arguments);
  request.destination = remote.destination;
  request.clock = 1;
  std::vector<ControlReply> replies;
  if (!answers) {
    (*broker)->broadcast(write_control_request(request, 0));
    auto flushed = session.wait_done([&](Done done) { (*broker)->flush(std::move(done)); });
    if (!flushed) return tl::unexpected(flushed.error());
    return replies;
  }

  const std::string key = uuid4();
  request.ticket = uuid4();
  request.reply_to_exchange = reply_exchange;
  request.reply_to_key = key;
  std::function<void(Expected<bool>)> woken;
  std::deque<ControlReply> arrived;
  const auto on_message = [&](Message&& message) {
    auto reply = read_control_reply(message);
    if (!reply || reply->ticket != request.ticket) return;
    arrived.push_back(std::move(*reply));
    if (woken) std::exchange(woken, nullptr)(true);
  };
  auto ready = session.wait_done([&](Done done) {
    (*broker)->open_inbox(reply_queue(key), std::string(reply_exchange), key, on_message, std::move(done));
  });
  if (!ready) return tl::unexpected(ready.error());
  (*broker)->broadcast(write_control_request(request, unix_now() + remote.timeout));

  const std::size_t most = remote.destination.empty() ? ~std::size_t{0} : remote.destination.size();
  while (replies.size() < most) {
    if (arrived.empty()) {
      (void)session.wait<bool>([&](auto answer) { woken = answer; }, Session::Seconds(remote.timeout));
      woken = nullptr;
      if (arrived.empty()) break;
    }
    replies.push_back(std::move(arrived.front()));
    arrived.pop_front();
    if (on_reply) on_reply(replies.back());
  }
  (*broker)->close_inbox(reply_queue(key));
  if (session.lost() && replies.empty()) return unexpected("the connection to the broker was lost");
  return replies;
}

std::string reply_text(const ControlReply& reply, bool with_body) {
  const Pretty shown = pretty(reply.value);
  std::string text = "->  " + reply.node + ": " + shown.status + "\n";
  if (with_body && !shown.body.empty()) text += indented(shown.body, 4) + "\n";
  return text;
}

std::string nodes_online(std::size_t count) {
  return "\n" + std::to_string(count) + (count == 1 ? " node" : " nodes") + " online.\n";
}

int print_unreachable(CommandContext& context, const std::string& what) {
  context.err << "Error: " << (what.empty() ? std::string(nobody) : what) << "\n";
  return exit_code::unavailable;
}

int remote_command(CommandContext& context, const Arguments& args, CommandKind kind) {
  const bool inspect = kind == CommandKind::inspect;
  auto options =
      command_options(inspect ? "celeriac inspect" : "celeriac control",
                      inspect ? "Asks nodes for what they hold, run and are. No reply at all: exit code 69."
                              : "Tells nodes what to do. No reply at all: exit code 69; a node that "
                                "refuses: 1.");
  RemoteOptions remote;
  std::string method;
  std::vector<std::string> given;
  bool list = false;
  options->add_option("command", method, "see --list")->type_name("COMMAND");
  options->add_option("arguments", given, "of the command")->type_name("ARGUMENT");
  options->add_flag("--list", list, "list the commands with their arguments");
  add_remote_options(*options, remote);
  if (auto code = read_command(context, *options, args)) return *code;
  if (list) {
    context.out << listing(kind);
    return exit_code::ok;
  }
  const ControlCommand* command = find_control_command(method);
  if (!command || command->kind != kind || !command->visible) {
    std::vector<std::string_view> names;
    for (const ControlCommand& one : control_commands())
      if (one.kind == kind && one.visible) names.push_back(one.name);
    const auto near = nearest_word(method, names);
    return refuse_usage(context, *options,
                        method.empty() ? "a command is needed; --list shows them"
                                       : "no such command '" + method + "'" +
                                             (near.empty() ? "; --list shows them"
                                                           : "; did you mean " + std::string(near) + "?"));
  }
  auto arguments = compile_arguments(*command, given);
  if (!arguments) return refuse_usage(context, *options, arguments.error().what);

  auto settings = load_command_settings(context);
  if (!settings) return exit_code::usage;
  Session session(std::move(*settings));
  const auto show = [&](const ControlReply& reply) {
    if (!remote.json) context.out << reply_text(reply, true) << std::flush;
  };
  const auto replies = ask_nodes(session, remote, method, std::move(*arguments), command->answers, show);
  if (!replies) return print_unreachable(context, replies.error().what);
  if (!command->answers) return exit_code::ok;
  if (replies->empty()) return print_unreachable(context, {});

  bool refused = false;
  Json by_node = Json::object(), in_order = Json::array();
  for (const ControlReply& reply : *replies) {
    refused = refused || (reply.value.is_object() && reply.value.contains("error"));
    by_node[reply.node] = reply.value;
    in_order.push_back(Json::object({{reply.node, reply.value}}));
  }
  if (remote.json)
    context.out << dump_json(inspect ? by_node : in_order) << "\n";
  else if (inspect && !context.globals.quiet)
    context.out << nodes_online(replies->size());
  return refused ? exit_code::failure : exit_code::ok;
}

}  // namespace celeriac
