#include "worker/settle.hpp"

#include "protocol/json.hpp"
#include "protocol/repr.hpp"
#include "protocol/result.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

namespace celeriac {
namespace {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

constexpr std::size_t result_repr_max = 1024;

std::string json_array(std::string_view text) {
  std::string out = "[";
  dump_json_string(text, out);
  return out += ']';
}

ExceptionInfo exception_info(std::string type, std::string module, std::string args) {
  ExceptionInfo info;
  info.type = std::move(type);
  info.module = std::move(module);
  info.args = std::move(args);
  return info;
}

std::string lost_text(const Lost& lost, JobId job) {
  std::string text = "Worker exited prematurely: ";
  if (lost.signal) {
    const char* name = ::sigabbrev_np(lost.signal);
    text += fmt::format("signal {} (SIG{})", lost.signal, name ? name : "?");
  } else {
    text += fmt::format("exitcode {}", lost.exit_code);
  }
  text += fmt::format(" Job: {}.", job);
  if (lost.out_of_memory) text += " The task was over its memory limit.";
  return text;
}

ExceptionInfo timeout_exception(double limit) {
  return exception_info("TimeLimitExceeded", "billiard.exceptions", "[" + limit_text(limit) + "]");
}

bool stores_errors(const RunFacts& facts) {
  return !facts.ignore_result || facts.policy->store_errors_even_if_ignored;
}

// The run is over and nothing is left to do with the message.
Verdict done(const RunFacts& facts) { return facts.acked ? Verdict::nothing : Verdict::ack; }

void bury(Settlement& s, std::string_view category, std::string cause) {
  s.verdict = Verdict::bury;
  s.category = category;
  s.cause = std::move(cause);
}

void fail(Settlement& s, const ExceptionInfo& exception, const RunFacts& facts) {
  if (stores_errors(facts)) s.status = state::failure;
  s.ended = state::failure;
  s.result = exception.json();
  s.verdict = done(facts);
}

Settlement settle_outcome(Returned&& o, const RunFacts& facts) {
  Settlement s;
  if (!facts.ignore_result) {
    s.status = state::success;
    s.children = std::move(o.children);
  }
  s.ended = state::success;
  s.result = std::move(o.result);
  s.embed = std::move(o.embed);
  s.verdict = done(facts);
  return s;
}

Settlement settle_outcome(Threw&& o, const RunFacts& facts) {
  Settlement s;
  fail(s, o.exception, facts);
  s.traceback = std::move(o.traceback);
  s.children = std::move(o.children);
  s.embed = std::move(o.embed);
  if (s.verdict == Verdict::ack && !facts.policy->acks_on_failure) {
    bury(s, "failed", o.exception.repr());
  }
  return s;
}

Settlement settle_outcome(AskedRetry&& o, const RunFacts& facts) {
  Settlement s;
  if (stores_errors(facts)) {
    s.status = state::retry;
    if (!o.exception.type.empty()) s.result = o.exception.json();
    s.traceback = std::move(o.traceback);
    s.children = std::move(o.children);
  }
  s.next = std::move(o.next);
  s.verdict = done(facts);
  return s;
}

Settlement settle_outcome(Ignored&&, const RunFacts& facts) {
  Settlement s;
  s.verdict = done(facts);
  return s;
}

Settlement settle_outcome(Rejected&& o, const RunFacts& facts) {
  Settlement s;
  s.verdict = done(facts);
  if (s.verdict != Verdict::ack) return s;
  if (o.requeue)
    s.verdict = Verdict::requeue;
  else
    bury(s, "failed", "rejected by the task: " + o.reason);
  return s;
}

Settlement settle_outcome(Undecodable&& o, const RunFacts& facts) {
  Settlement s;
  if (done(facts) == Verdict::ack) bury(s, dead_letter_category(o.why.why), std::move(o.why.cause));
  return s;
}

Settlement settle_outcome(HardTimeout&& o, const RunFacts& facts) {
  Settlement s;
  fail(s, timeout_exception(o.limit), facts);
  if (s.verdict == Verdict::ack && !facts.policy->acks_on_timeout) s.verdict = Verdict::requeue;
  return s;
}

Settlement settle_outcome(Lost&& o, const RunFacts& facts) {
  if (o.terminated) return settle_revoked("terminated", facts);
  Settlement s;
  if (done(facts) == Verdict::ack && facts.policy->reject_on_worker_lost) {
    s.verdict = Verdict::requeue;
    return s;
  }
  const ExceptionInfo exception = lost_exception(o, facts.job);
  fail(s, exception, facts);
  if (s.verdict == Verdict::ack && !facts.policy->acks_on_failure) {
    bury(s, "failed", exception.repr());
  }
  return s;
}

}  // namespace

ExceptionInfo lost_exception(const Lost& lost, JobId job) {
  return exception_info("WorkerLostError", "billiard.exceptions", json_array(lost_text(lost, job)));
}

Settlement settle(Outcome&& outcome, const RunFacts& facts) {
  return std::visit([&](auto& o) { return settle_outcome(std::move(o), facts); }, outcome);
}

std::string_view outcome_state(const Outcome& outcome) {
  struct State {
    std::string_view operator()(const Returned&) const { return state::success; }
    std::string_view operator()(const Threw&) const { return state::failure; }
    std::string_view operator()(const AskedRetry&) const { return state::retry; }
    std::string_view operator()(const Ignored&) const { return state::ignored; }
    std::string_view operator()(const Rejected&) const { return state::rejected; }
    std::string_view operator()(const Undecodable&) const { return state::failure; }
    std::string_view operator()(const HardTimeout&) const { return state::failure; }
    std::string_view operator()(const Lost& lost) const {
      return lost.terminated ? state::revoked : state::failure;
    }
  };
  return std::visit(State{}, outcome);
}

Settlement settle_revoked(std::string_view reason, const RunFacts& facts) {
  Settlement s;
  if (stores_errors(facts)) s.status = state::revoked;
  s.ended = state::revoked;
  s.result = exception_info("TaskRevokedError", "celery.exceptions", json_array(reason)).json();
  s.verdict = done(facts);
  return s;
}

Settlement settle_unregistered(const std::string& task) {
  Settlement s;
  const ExceptionInfo exception = exception_info("NotRegistered", "celery.exceptions", json_array(task));
  s.status = state::failure;
  s.ended = state::failure;
  s.result = exception.json();
  bury(s, "unknown_task", exception.repr());
  return s;
}

Settlement settle_cancelled(const RunFacts& facts, std::string_view why) {
  Settlement s;
  if (!facts.acked) return s;  // still ours: the broker gets it back when we leave
  if (stores_errors(facts)) {
    s.status = state::retry;
    s.result = exception_info("Retry", "celery.exceptions", json_array(why)).json();
  }
  return s;
}

LogLevel outcome_level(const Outcome& outcome) {
  return std::visit(Overloaded{
                        [](const Returned&) { return LogLevel::info; },
                        [](const Threw& o) { return o.expected ? LogLevel::info : LogLevel::error; },
                        [](const AskedRetry&) { return LogLevel::info; },
                        [](const Ignored&) { return LogLevel::info; },
                        [](const Rejected&) { return LogLevel::warning; },
                        [](const Undecodable& o) { return refusal_log(o.why).level; },
                        [](const HardTimeout&) { return LogLevel::error; },
                        [](const Lost& o) { return o.terminated ? LogLevel::info : LogLevel::error; },
                    },
                    outcome);
}

std::string outcome_text(const Outcome& outcome, std::string_view name, std::string_view id, JobId job,
                         double seconds) {
  return std::visit(
      Overloaded{
          [&](const Returned& o) {
            const auto value = parse_json(o.result);
            return fmt::format(
                "Task {}[{}] succeeded in {}s: {}", name, id, python_float(std::round(seconds * 1e9) / 1e9),
                value ? python_repr(*value, result_repr_max) : o.result.substr(0, result_repr_max));
          },
          [&](const Threw& o) {
            return fmt::format("Task {}[{}] raised {}: {}{}{}", name, id,
                               o.expected ? "expected" : "unexpected", o.exception.repr(),
                               o.traceback.empty() ? "" : "\n", o.traceback);
          },
          [&](const AskedRetry& o) { return fmt::format("Task {}[{}] retry: {}", name, id, o.reason); },
          [&](const Ignored&) { return fmt::format("Task {}[{}] ignored", name, id); },
          [&](const Rejected& o) {
            return fmt::format("Task {}[{}] reject requeue={}: {}", name, id, o.requeue ? "True" : "False",
                               o.reason);
          },
          [&](const Undecodable& o) {
            return fmt::format("{} (task {}[{}])", refusal_log(o.why).text, name, id);
          },
          [&](const HardTimeout& o) {
            return fmt::format("Hard time limit ({}s) exceeded for {}[{}]", limit_text(o.limit), name, id);
          },
          [&](const Lost& o) {
            if (o.terminated) return fmt::format("Task {}[{}] terminated", name, id);
            return fmt::format("Task handler raised error: {} (task {}[{}])", lost_exception(o, job).repr(),
                               name, id);
          },
      },
      outcome);
}

RefusalLog refusal_log(const Refused& refused) {
  switch (refused.why) {
    case Refusal::unknown_message:
      return {LogLevel::warning,
              "Received and deleted unknown message.  Wrong destination?!? Kept as a dead letter: " +
                  refused.cause};
    case Refusal::invalid_task:
      return {LogLevel::error, "Received invalid task message: " + refused.cause};
    case Refusal::undecodable:
      break;
  }
  return {LogLevel::critical, "Can't decode message body: " + refused.cause};
}

std::string_view dead_letter_category(Refusal why) {
  return why == Refusal::undecodable ? "undecodable" : "refused";
}

std::string unregistered_text(std::string_view task, std::string_view id, std::string_view queue) {
  return fmt::format(
      "Received unregistered task of type '{}'.\nNothing of that name is registered in this worker. The "
      "message "
      "({}) from queue '{}' is kept as a dead letter.",
      task, id, queue);
}

std::string limit_text(double seconds) {
  if (seconds == std::floor(seconds) && std::fabs(seconds) < 1e15) return fmt::format("{:.0f}", seconds);
  return python_float(seconds);
}

}  // namespace celeriac
