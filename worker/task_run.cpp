#include "worker/task_run.hpp"

#include "protocol/repr.hpp"
#include "worker/outgoing.hpp"
#include "worker/retry.hpp"

#include "protocol/time.hpp"

#include <new>
#include <random>
#include <utility>

namespace celeriac {
namespace {

constexpr std::size_t max_result = 512u << 20;  // Redis's own limit for one value

ExceptionInfo exception(std::string type, std::string_view message, std::string module = "builtins") {
  ExceptionInfo info;
  info.type = std::move(type);
  info.module = std::move(module);
  info.args = "[";
  dump_json_string(message, info.args);
  info.args += ']';
  return info;
}

std::string traceback(const std::string& task, std::string_view last_line) {
  return "Traceback (most recent call last):\n  C++ task '" + task + "'\n" + std::string(last_line) + "\n";
}

// The canvas part of a body; empty when nothing follows the task. What lies open in the message need not be
// handed back.
std::optional<std::string> embed_text(const Job& job, const Embed& embed) {
  if (is_plain_json(*job.message, *job.headers)) return std::nullopt;
  return embed.empty() ? "" : embed.text();
}

std::uint64_t random_below(std::uint64_t bound) {
  thread_local std::mt19937_64 generator{std::random_device{}()};
  return std::uniform_int_distribution<std::uint64_t>(0, bound - 1)(generator);
}

}  // namespace

Threw not_registered(const std::string& task) {
  Threw out;
  out.exception = exception("NotRegistered", task, "celery.exceptions");
  return out;
}

TaskRun::TaskRun(const RunEnvironment& environment, const Job& job, const App::Task& task, Body body,
                 const std::atomic<bool>& soft_limit_hit)
    : job_(job),
      task_(task),
      body_(std::move(body)),
      context_(job, task.options, environment.port, soft_limit_hit, &body_, &environment.app) {}

Outcome TaskRun::run() {
  try {
    return returned(task_.body(context_, body_.args, body_.kwargs));
  } catch (...) {
    return threw(std::current_exception());
  }
}

Outcome TaskRun::threw(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Ignore&) {
    return Ignored{};
  } catch (const Reject& reject) {
    return Rejected{reject.requeue, reject.reason};
  } catch (const Retry& retry) {
    return asked_retry(retry);
  } catch (const TaskError& error) {
    return failed(error.info());
  } catch (const std::bad_alloc&) {
    return failed({"MemoryError", "builtins", "[]"});
  } catch (const std::exception& error) {
    return failed(exception("RuntimeError", error.what()));
  } catch (...) {
    return failed(exception("RuntimeError", "unknown C++ exception"));
  }
}

Outcome TaskRun::returned(const Json& result) {
  Returned out;
  try {
    out.result = dump_json(result);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    return failure(exception("EncodeError", error.what(), "kombu.exceptions"));
  }
  if (out.result.size() > max_result) {
    return failure(exception("EncodeError", "result of " + std::to_string(out.result.size()) + " bytes",
                             "kombu.exceptions"));
  }
  out.embed = embed_text(job_, body_.embed);
  out.children = dump_json(context_.children());
  return out;
}

Outcome TaskRun::failed(const ExceptionInfo& info) {
  const TaskOptions& options = task_.options;
  const std::int64_t retries = job_.headers->retries;
  if (!autoretries(options, info) || retries_used_up(retries, options.max_retries)) return failure(info);
  const double delay = autoretry_delay(options, retries, random_below);
  RetryTime time = retry_time(std::nullopt, delay, delay, unix_now());
  Retry retry;
  retry.eta = time.eta;
  retry.when = std::move(time.when);
  retry.cause = info;
  return asked_retry(retry);
}

Threw TaskRun::failure(const ExceptionInfo& info) {
  Threw out;
  out.exception = info;
  out.traceback = traceback(task_.name, exception_line(info));
  out.expected = names_exception(task_.options.throws, info.type);
  out.embed = embed_text(job_, body_.embed);
  out.children = dump_json(context_.children());
  return out;
}

Outcome TaskRun::asked_retry(const Retry& retry) {
  AskedRetry out;
  out.eta = retry.eta;
  out.exception = retry.cause;
  out.reason = retry_reason(retry);
  out.traceback = traceback(task_.name, "celery.exceptions.Retry: " + out.reason);
  out.next = build_retry(job_, body_, retry, unix_now());
  Json children = context_.children();
  children.push_back(result_tuple(job_.headers->id));
  out.children = dump_json(children);
  return out;
}

}  // namespace celeriac
