// What follows from a run's outcome: what is stored, published and told to the broker, and
// what the log says. Pure: the consumer carries it out.
//
// The order in which the parts are carried out is always: publish the follow-up messages, store
// the result, count the part of a chord and call errbacks, then tell the broker. A crash in between
// repeats work, it never loses any.
#pragma once

#include "worker/job.hpp"
#include "worker/logging.hpp"
#include "worker/request.hpp"

#include <string>
#include <string_view>

namespace celeriac {

struct Settlement {
  std::string status;           // empty: nothing is stored
  std::string result = "null";  // JSON text
  std::string traceback;
  std::string children = "[]";
  std::optional<Outgoing> next;  // a retry: published when the state is stored, before the broker hears
  // SUCCESS, FAILURE or REVOKED when what waits for this task may go on, whether stored or not; `result`
  // and `traceback` are filled then.
  std::string_view ended;
  std::optional<std::string> embed;  // the canvas part, JSON text, empty: none; unset: still in the message
  Verdict verdict = Verdict::nothing;
  std::string category, cause;  // of a dead letter
};

// The part of a request that decides.
struct RunFacts {
  JobId job = 0;
  bool acked = false;  // the broker has heard: early acknowledgement, at the start
  bool ignore_result = false;
  const TaskPolicy* policy = nullptr;
};

Settlement settle(Outcome&& outcome, const RunFacts& facts);

// How the run ended, whatever is stored of it.
std::string_view outcome_state(const Outcome& outcome);

// A request that must not run: revoked, or past its `expires`. `reason` is Celery's word:
// "revoked", "expired" or "terminated".
Settlement settle_revoked(std::string_view reason, const RunFacts& facts);

// A message that names a task nobody registered here.
Settlement settle_unregistered(const std::string& task);

// A running task that a cold shutdown kills. Its message goes back to the queue: a late one by
// itself, an early one (`next` is then filled by the caller) by being published again.
Settlement settle_cancelled(const RunFacts& facts, std::string_view why = "the worker was shut down");

// The log's side of it.
LogLevel outcome_level(const Outcome& outcome);
std::string outcome_text(const Outcome& outcome, std::string_view name, std::string_view id, JobId job,
                         double seconds);

struct RefusalLog {
  LogLevel level;
  std::string text;
};
RefusalLog refusal_log(const Refused& refused);
std::string_view dead_letter_category(Refusal why);
std::string unregistered_text(std::string_view task, std::string_view id, std::string_view queue);

// Why a job ended whose slot died.
ExceptionInfo lost_exception(const Lost& lost, JobId job);

// Celery's way to write a time limit: 5, not 5.0.
std::string limit_text(double seconds);

}  // namespace celeriac
