#include "worker/request.hpp"

#include "protocol/body.hpp"
#include "protocol/repr.hpp"
#include "worker/rate_limit.hpp"

namespace celeriac {

Expected<TaskPolicy> resolve_policy(const App::Task& task, const Settings& settings) {
  const TaskOptions& o = task.options;
  TaskPolicy policy;
  policy.task = &task;
  policy.acks_late = o.acks_late.value_or(settings.task_acks_late);
  // The closer word wins: the task's before the settings', the exact one before the one for both.
  const auto acks = [&](const std::optional<bool>& own, const std::optional<bool>& common) {
    const bool both = o.acks_on_failure_or_timeout.value_or(settings.task_acks_on_failure_or_timeout);
    if (own || o.acks_on_failure_or_timeout) return own.value_or(both);
    return common.value_or(both);
  };
  policy.acks_on_failure = acks(o.acks_on_failure, settings.task_acks_on_failure);
  policy.acks_on_timeout = acks(o.acks_on_timeout, settings.task_acks_on_timeout);
  policy.deduplicate = policy.acks_late && settings.worker_deduplicate_successful_tasks;
  policy.reject_on_worker_lost = o.reject_on_worker_lost.value_or(settings.task_reject_on_worker_lost);
  policy.ignore_result = o.ignore_result.value_or(settings.task_ignore_result);
  policy.store_errors_even_if_ignored =
      o.store_errors_even_if_ignored || settings.task_store_errors_even_if_ignored;
  policy.track_started = o.track_started.value_or(settings.task_track_started);
  policy.soft_limit = o.soft_time_limit.value_or(settings.task_soft_time_limit.value_or(0));
  policy.hard_limit = o.time_limit.value_or(settings.task_time_limit.value_or(0));
  const auto& limit = o.rate_limit ? o.rate_limit : settings.task_default_rate_limit;
  if (limit && !settings.worker_disable_rate_limits) {
    auto rate = parse_rate(*limit);
    if (!rate) return unexpected("rate_limit of task '" + task.name + "': " + rate.error().what);
    policy.rate = *rate;
  }
  return policy;
}

std::vector<std::string> content_types(const std::vector<std::string>& names) {
  std::vector<std::string> types;
  for (const auto& name : names) {
    if (name == "json")
      types.push_back("application/json");
    else if (name == "yaml")
      types.push_back("application/x-yaml");
    else if (name == "msgpack")
      types.push_back("application/x-msgpack");
    else if (name == "auth")  // what was signed may be any of them; the broker lets nothing unsigned in
      types.insert(types.end(), {"application/json", "application/x-yaml", "application/x-msgpack"});
    else
      types.push_back(name);
  }
  return types;
}

Request make_request(JobId job, Delivery&& delivery, TaskHeaders&& headers, const TaskPolicy& policy) {
  Request r;
  r.job = job;
  r.tag = delivery.tag;
  r.redelivered = delivery.redelivered;
  r.ignore_result = headers.ignore_result.value_or(policy.ignore_result);
  r.soft_limit = headers.soft_time_limit.value_or(policy.soft_limit);
  r.hard_limit = headers.time_limit.value_or(policy.hard_limit);
  r.queue = std::move(delivery.queue);
  r.message = std::make_shared<const Message>(std::move(delivery.message));
  r.headers = std::make_shared<const TaskHeaders>(std::move(headers));
  r.policy = &policy;
  return r;
}

namespace {

// Finds the end of the JSON value that starts at `at`: brackets are counted, strings are
// stepped over. What is inside is not checked; the slot has done that.
std::size_t value_end(std::string_view text, std::size_t at) {
  std::size_t depth = 0;
  for (; at < text.size(); ++at) {
    switch (text[at]) {
      case '"':
        for (++at; at < text.size() && text[at] != '"'; ++at) {
          if (text[at] == '\\') ++at;
        }
        break;
      case '[':
      case '{':
        ++depth;
        break;
      case ']':
      case '}':
        if (depth == 0) return at;
        if (--depth == 0) return at + 1;
        break;
      case ',':
        if (depth == 0) return at;
        break;
      default:
        break;
    }
  }
  return std::string_view::npos;
}

std::size_t skip_space(std::string_view text, std::size_t at) {
  const auto found = text.find_first_not_of(" \t\r\n", at);
  return found == std::string_view::npos ? text.size() : found;
}

}  // namespace

std::optional<ArgumentTexts> argument_texts(std::string_view body) {
  std::size_t at = skip_space(body, 0);
  if (at >= body.size() || body[at] != '[') return {};
  at = skip_space(body, at + 1);
  if (at >= body.size() || body[at] != '[') return {};
  const std::size_t args_end = value_end(body, at);
  if (args_end == std::string_view::npos) return {};
  const std::string_view args = body.substr(at, args_end - at);
  at = skip_space(body, args_end);
  if (at >= body.size() || body[at] != ',') return {};
  at = skip_space(body, at + 1);
  if (at >= body.size() || body[at] != '{') return {};
  const std::size_t kwargs_end = value_end(body, at);
  if (kwargs_end == std::string_view::npos) return {};
  ArgumentTexts texts{args, body.substr(at, kwargs_end - at), {}};
  at = skip_space(body, kwargs_end);
  if (at >= body.size() || body[at] != ',') return texts;
  at = skip_space(body, at + 1);
  const std::size_t embed_end = body.rfind(']');
  if (embed_end != std::string_view::npos && embed_end > at) texts.embed = body.substr(at, embed_end - at);
  return texts;
}

ArgumentReprs argument_reprs(const Message& message, const TaskHeaders& headers,
                             const std::vector<std::string>& accept) {
  if (!headers.argsrepr.empty()) return {headers.argsrepr, headers.kwargsrepr};
  constexpr std::size_t most_bytes = 64 * 1024;
  if (message.body.size() <= most_bytes) {
    if (const auto body = read_body(message, headers, accept)) {
      return {python_args_repr(body->args), python_repr(body->kwargs)};
    }
  }
  return {"(...)", "{...}"};
}

TaskResult result_row(const Request& request, bool extended, const std::string& hostname,
                      const std::vector<std::string>& accept) {
  const TaskHeaders& headers = *request.headers;
  TaskResult row;
  row.task_id = headers.id;
  row.group_id = headers.group;
  row.parent_id = headers.parent_id;
  row.reply_to = request.message->properties.reply_to;
  row.correlation_id = request.message->properties.correlation_id;
  if (!extended) return row;
  row.extended = true;
  row.name = headers.task;
  row.worker = hostname;
  row.queue = request.queue;
  row.retries = headers.retries;
  row.stamps = headers.stamps;
  if (is_plain_json(*request.message, headers)) {
    if (auto texts = argument_texts(request.message->body)) {
      row.args = texts->args;
      row.kwargs = texts->kwargs;
      return row;
    }
  }
  if (auto body = read_body(*request.message, headers, accept)) {
    row.args = dump_json(body->args);
    row.kwargs = dump_json(body->kwargs);
  }
  return row;
}

}  // namespace celeriac
