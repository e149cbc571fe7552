#include "worker/retry.hpp"

#include "protocol/repr.hpp"
#include "protocol/time.hpp"
#include "worker/outgoing.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <utility>

namespace celeriac {
namespace {

constexpr std::array<std::string_view, 22> own_headers = {"lang",
                                                          "task",
                                                          "id",
                                                          "shadow",
                                                          "eta",
                                                          "expires",
                                                          "group",
                                                          "group_index",
                                                          "retries",
                                                          "timelimit",
                                                          "root_id",
                                                          "parent_id",
                                                          "argsrepr",
                                                          "kwargsrepr",
                                                          "origin",
                                                          "ignore_result",
                                                          "replaced_task_nesting",
                                                          "stamped_headers",
                                                          "stamps",
                                                          "compression",
                                                          "redelivered",
                                                          "delivery_info"};

// A broker's own marks of a dead letter: "x-death", "x-first-death-queue", ...
bool is_death_mark(std::string_view name) {
  return name.starts_with("x-death") || name.starts_with("x-first-death") || name.starts_with("x-last-death");
}

Json custom_headers(const Message& message) {
  const auto headers = parse_json(message.headers);
  Json custom = Json::object();
  if (!headers || !headers->is_object()) return custom;
  for (const auto& [name, value] : headers->items()) {
    const bool own = std::find(own_headers.begin(), own_headers.end(), name) != own_headers.end();
    if (!own && !is_death_mark(name)) custom[name] = value;
  }
  return custom;
}

// Python prints a whole number of seconds as it was given, mostly an int.
std::string seconds_text(double seconds) {
  if (seconds == std::floor(seconds) && std::abs(seconds) < 1e15)
    return std::to_string(static_cast<std::int64_t>(seconds));
  return python_float(seconds);
}

}  // namespace

bool retries_used_up(std::int64_t retries, std::optional<int> max_retries) {
  return max_retries && retries + 1 > *max_retries;
}

RetryTime retry_time(std::optional<double> eta, std::optional<double> countdown, double default_delay,
                     double now) {
  if (eta) {
    std::string text = format_iso8601(*eta);
    std::replace(text.begin(), text.end(), 'T', ' ');
    return {*eta, "at " + text};
  }
  const double delay = countdown.value_or(default_delay);
  return {now + delay, "in " + seconds_text(delay) + "s"};
}

double autoretry_delay(const TaskOptions& options, std::int64_t retries, const RandomBelow& random) {
  if (options.retry_backoff <= 0) return options.default_retry_delay;
  const double factor = std::floor(std::max(1.0, options.retry_backoff));
  const double exponent = static_cast<double>(std::clamp<std::int64_t>(retries, 0, 62));
  double delay = std::min(options.retry_backoff_max, factor * std::exp2(exponent));
  delay = std::clamp(delay, 0.0, 1e15);
  if (options.retry_jitter) delay = static_cast<double>(random(static_cast<std::uint64_t>(delay) + 1));
  return delay;
}

bool names_exception(const std::vector<std::string>& names, const std::string& type) {
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return name == type || name == "Exception"; });
}

bool autoretries(const TaskOptions& options, const ExceptionInfo& exception) {
  return !names_exception(options.dont_autoretry_for, exception.type) &&
         names_exception(options.autoretry_for, exception.type);
}

ExceptionInfo max_retries_exceeded(const TaskHeaders& headers, const Json& args, const Json& kwargs) {
  const std::string text = "Can't retry " + headers.task + "[" + headers.id +
                           "] args:" + python_args_repr(args, 0) + " kwargs:" + python_repr(kwargs, 0);
  Json message = Json::array();
  message.push_back(text);
  return {"MaxRetriesExceededError", "celery.exceptions", dump_json(message)};
}

std::string retry_reason(const Retry& retry) {
  std::string text = "Retry " + retry.when;
  if (!retry.cause.type.empty()) text += ": " + retry.cause.repr();
  return text;
}

Outgoing build_retry(const Job& job, const Body& body, const Retry& retry, double now) {
  const Message& message = *job.message;
  TaskHeaders headers = *job.headers;
  if (headers.root_id.empty()) headers.root_id = headers.id;
  headers.parent_id = headers.id;
  headers.retries += 1;
  headers.eta = retry.eta;
  headers.eta_text = format_iso8601(retry.eta);
  if (headers.lang.empty()) headers.lang = "c++";
  if (headers.origin.empty()) headers.origin = message_origin();

  Outgoing out;
  const bool rewrite = retry.args || retry.kwargs || headers.protocol == Protocol::v1;
  if (rewrite) {
    Body next = body;
    if (retry.args) next.args = *retry.args;
    if (retry.kwargs) next.kwargs = *retry.kwargs;
    headers.protocol = Protocol::v2;
    headers.compression.clear();
    headers.argsrepr = python_args_repr(next.args);
    headers.kwargsrepr = python_repr(next.kwargs);
    out.message.body = write_body(next);
  } else {
    out.message.body = message.body;
    out.message.content_type = message.content_type;
    out.message.content_encoding = message.content_encoding;
  }
  out.message.headers = write_headers(headers, custom_headers(message));
  Properties& properties = out.message.properties;
  properties = message.properties;
  properties.delivery_tag.clear();
  properties.redelivered = false;
  properties.correlation_id = headers.id;
  properties.expiration = headers.expires ? expiration_text(*headers.expires, now) : "";
  if (properties.exchange.empty() && !properties.routing_key.empty()) {
    out.queue = properties.routing_key;
  } else {
    out.queue = job.queue;
    if (properties.routing_key.empty()) properties.routing_key = job.queue;
  }
  return out;
}

}  // namespace celeriac
