#include "worker/outgoing.hpp"

#include "protocol/repr.hpp"
#include "protocol/time.hpp"
#include "protocol/uuid.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace celeriac {

Json result_tuple(const std::string& id) {
  Json pair = Json::array();
  pair.push_back(id);
  pair.push_back(nullptr);
  Json tuple = Json::array();
  tuple.push_back(std::move(pair));
  tuple.push_back(nullptr);
  return tuple;
}

std::string expiration_text(double expires, double now) {
  return std::to_string(std::llround(std::max(0.0, std::min(expires - now, 1e12)) * 1000));
}

const std::string& message_origin() {
  static const std::string origin = [] {
    std::array<char, 256> host{};
    gethostname(host.data(), host.size() - 1);
    return "gen" + std::to_string(getpid()) + "@" + host.data();
  }();
  return origin;
}

SendRequest build_send(const TaskHeaders& parent, std::string_view task, Json args, Json kwargs,
                       SendOptions options, double now) {
  if (!args.is_array() || !kwargs.is_object())
    throw BadArguments("task args must be a list and kwargs a dict");
  if (options.soft_time_limit && options.time_limit && *options.soft_time_limit > *options.time_limit)
    throw TaskError("ValueError", "soft_time_limit must be less than or equal to time_limit");

  TaskHeaders headers;
  headers.lang = "c++";
  headers.id = options.task_id.empty() ? uuid4() : std::move(options.task_id);
  headers.task = task;
  headers.root_id = !parent.root_id.empty() ? parent.root_id : !parent.id.empty() ? parent.id : headers.id;
  headers.parent_id = parent.id;
  if (options.countdown) options.eta = now + *options.countdown;
  headers.eta = options.eta;
  if (headers.eta) headers.eta_text = format_iso8601(*headers.eta);
  headers.expires = options.expires;
  if (headers.expires) headers.expires_text = format_iso8601(*headers.expires);
  headers.time_limit = options.time_limit;
  headers.soft_time_limit = options.soft_time_limit;
  headers.argsrepr = python_args_repr(args);
  headers.kwargsrepr = python_repr(kwargs);
  headers.origin = message_origin();
  headers.ignore_result = options.ignore_result.value_or(false);

  SendRequest request;
  request.task_id = headers.id;
  request.outgoing.queue = std::move(options.queue);
  Message& message = request.outgoing.message;
  message.headers = write_headers(headers, options.headers);
  Body body;
  body.args = std::move(args);
  body.kwargs = std::move(kwargs);
  message.body = write_body(body);
  message.properties.correlation_id = headers.id;
  message.properties.routing_key = request.outgoing.queue;
  message.properties.priority = options.priority;
  if (headers.expires) message.properties.expiration = expiration_text(*headers.expires, now);
  return request;
}

}  // namespace celeriac
