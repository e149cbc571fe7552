// From a signature with final options to the message that carries it.
#include "worker/canvas/plan.hpp"

#include "protocol/body.hpp"
#include "protocol/repr.hpp"
#include "protocol/time.hpp"
#include "worker/canvas/signature.hpp"
#include "worker/outgoing.hpp"

namespace celeriac::canvas {
namespace {

std::string text(const Json& options, const char* name) {
  const auto found = options.find(name);
  return found != options.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<double> number(const Json& options, const char* name) {
  const auto found = options.find(name);
  if (found == options.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

const Json& member(const Json& options, const char* name) {
  static const Json none = nullptr;
  const auto found = options.find(name);
  return found == options.end() ? none : *found;
}

// eta and expires come as seconds from now or as ISO text.
void set_time(const Json& options, const char* name, double now, std::optional<double>& at,
              std::string& as_text) {
  if (const auto seconds = number(options, name)) {
    at = now + *seconds;
    as_text = format_iso8601(*at);
  } else if (as_text = text(options, name); !as_text.empty()) {
    if (const auto parsed = parse_iso8601(as_text)) at = *parsed;
  }
}

std::string callbacks(const Json& signature, const char* name) {
  const Json list = list_option(signature, name);
  return list.empty() ? "null" : dump_json(list);
}

void set_stamps(const Json& options, TaskHeaders& headers) {
  const Json& names = member(options, "stamped_headers");
  if (!names.is_array()) return;
  Json stamps = Json::object();
  for (const Json& name : names) {
    if (name.is_string())
      stamps[name.get<std::string>()] = member(options, name.get_ref<const std::string&>().c_str());
  }
  headers.stamped_headers = dump_json(names);
  headers.stamps = dump_json(stamps);
}

}  // namespace

Outgoing task_message(Json signature, const Sender& sender, std::string chain) {
  Json& options = signature["options"];
  TaskHeaders headers;
  headers.lang = "c++";
  headers.task = signature["task"].get<std::string>();
  headers.id = text(options, "task_id");
  headers.shadow = text(options, "shadow");
  headers.root_id = text(options, "root_id");
  if (!sender.root_id.empty()) headers.root_id = sender.root_id;
  if (headers.root_id.empty()) headers.root_id = headers.id;
  headers.parent_id = text(options, "parent_id").empty() ? sender.parent_id : text(options, "parent_id");
  headers.group = text(options, "group_id");
  if (const Json& index = member(options, "group_index"); index.is_number_integer())
    headers.group_index = index.get<std::int64_t>();
  if (const Json& retries = member(options, "retries"); retries.is_number_integer())
    headers.retries = retries.get<std::int64_t>();
  if (const Json& nesting = member(options, "replaced_task_nesting"); nesting.is_number_integer())
    headers.replaced_task_nesting = nesting.get<std::int64_t>();
  if (const auto countdown = number(options, "countdown")) {
    headers.eta = sender.now + *countdown;
    headers.eta_text = format_iso8601(*headers.eta);
  } else {
    set_time(options, "eta", 0, headers.eta, headers.eta_text);
  }
  set_time(options, "expires", sender.now, headers.expires, headers.expires_text);
  headers.time_limit = number(options, "time_limit");
  headers.soft_time_limit = number(options, "soft_time_limit");
  headers.argsrepr = python_args_repr(signature["args"]);
  headers.kwargsrepr = python_repr(signature["kwargs"]);
  headers.origin = message_origin();
  headers.ignore_result = member(options, "ignore_result") == true;
  set_stamps(options, headers);

  Outgoing out;
  out.queue = text(options, "queue").empty() ? text(options, "routing_key") : text(options, "queue");
  if (out.queue.empty() && sender.route) out.queue = sender.route(headers.task);
  Message& message = out.message;
  message.headers = write_headers(headers, member(options, "headers"));
  message.properties.correlation_id = headers.id;
  message.properties.reply_to =
      text(options, "reply_to").empty() ? sender.reply_to : text(options, "reply_to");
  message.properties.routing_key = out.queue;
  if (text(options, "queue").empty()) message.properties.exchange = text(options, "exchange");
  message.properties.priority = sender.priority;
  if (const Json& priority = member(options, "priority"); priority.is_number_integer())
    message.properties.priority = priority.get<int>();
  if (headers.expires) message.properties.expiration = expiration_text(*headers.expires, sender.now);

  Body body;  // last, because it takes the signature apart
  body.args = std::move(signature["args"]);
  body.kwargs = std::move(signature["kwargs"]);
  body.embed.set_callbacks(callbacks(signature, "link"));
  body.embed.set_errbacks(callbacks(signature, "link_error"));
  body.embed.set_chain(chain.empty() ? dump_json(member(options, "chain")) : std::move(chain));
  body.embed.set_chord(dump_json(member(options, "chord")));
  message.body = write_body(body);
  return out;
}

}  // namespace celeriac::canvas
