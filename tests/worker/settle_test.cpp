// The settlement table, row by row: what an outcome means for the broker and the result store.
#include "worker/settle.hpp"

#include <doctest/doctest.h>

using namespace celeriac;

namespace {

ExceptionInfo value_error() {
  ExceptionInfo e;
  e.type = "ValueError";
  e.args = "[\"boom\"]";
  return e;
}

Threw threw() {
  Threw t;
  t.exception = value_error();
  t.traceback = "Traceback";
  return t;
}

AskedRetry asked_retry() {
  AskedRetry r;
  r.exception = value_error();
  r.reason = "Retry in 1s: ValueError('boom')";
  r.next.queue = "q";
  return r;
}

Lost lost(bool terminated = false) {
  Lost l;
  l.signal = 9;
  l.terminated = terminated;
  return l;
}

struct Row {
  const char* situation;
  Outcome outcome;
  bool acks_on_failure;
  bool reject_on_lost;
  Verdict late;  // the early verdict is always `nothing`: it was acked at the start
  std::string status_late, status_early;
};

}  // namespace

TEST_CASE("each outcome is acknowledged and stored as the table says") {
  const Row rows[] = {
      {"success", Returned{"5", "", "[]"}, true, false, Verdict::ack, "SUCCESS", "SUCCESS"},
      {"exception", threw(), true, false, Verdict::ack, "FAILURE", "FAILURE"},
      {"exception, not acked on failure", threw(), false, false, Verdict::bury, "FAILURE", "FAILURE"},
      {"retry", asked_retry(), true, false, Verdict::ack, "RETRY", "RETRY"},
      {"ignore", Ignored{}, true, false, Verdict::ack, "", ""},
      {"reject", Rejected{false, "no"}, true, false, Verdict::bury, "", ""},
      {"reject and requeue", Rejected{true, "no"}, true, false, Verdict::requeue, "", ""},
      {"hard limit", HardTimeout{2}, true, false, Verdict::ack, "FAILURE", "FAILURE"},
      {"hard limit, not acked on timeout", HardTimeout{2}, false, false, Verdict::requeue, "FAILURE",
       "FAILURE"},
      {"slot died", lost(), true, false, Verdict::ack, "FAILURE", "FAILURE"},
      {"slot died, not acked on failure", lost(), false, false, Verdict::bury, "FAILURE", "FAILURE"},
      {"slot died, reject_on_worker_lost", lost(), true, true, Verdict::requeue, "", "FAILURE"},
      {"terminated by a revoke", lost(true), true, false, Verdict::ack, "REVOKED", "REVOKED"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.situation);
    TaskPolicy policy;
    policy.acks_on_failure = policy.acks_on_timeout = row.acks_on_failure;
    policy.reject_on_worker_lost = row.reject_on_lost;
    RunFacts facts;
    facts.policy = &policy;

    facts.acked = false;
    const Settlement late = settle(Outcome(row.outcome), facts);
    CHECK(late.verdict == row.late);
    CHECK(late.status == row.status_late);
    CHECK((late.verdict == Verdict::bury) == !late.category.empty());

    facts.acked = true;
    const Settlement early = settle(Outcome(row.outcome), facts);
    CHECK(early.verdict == Verdict::nothing);
    CHECK(early.status == row.status_early);
  }
}

TEST_CASE("an ignored result stores nothing, errors only on request") {
  TaskPolicy policy;
  RunFacts facts;
  facts.policy = &policy;
  facts.ignore_result = true;
  CHECK(settle(Returned{"5", "", "[]"}, facts).status.empty());
  CHECK(settle(Returned{"5", "", "[]"}, facts).ended == "SUCCESS");  // callbacks get the value all the same
  CHECK(settle(Returned{"5", "", "[]"}, facts).result == "5");
  CHECK(settle_revoked("revoked", facts).ended == "REVOKED");
  CHECK(settle(asked_retry(), facts).ended.empty());
  CHECK(settle(threw(), facts).status.empty());
  CHECK(settle(asked_retry(), facts).status.empty());
  CHECK(settle_revoked("revoked", facts).status.empty());
  policy.store_errors_even_if_ignored = true;
  CHECK(settle(Returned{"5", "", "[]"}, facts).status.empty());
  CHECK(settle(threw(), facts).status == "FAILURE");
  CHECK(settle(asked_retry(), facts).status == "RETRY");
  CHECK(settle_revoked("revoked", facts).status == "REVOKED");
}

TEST_CASE("what could not be read is buried, never stored") {
  TaskPolicy policy;
  RunFacts facts;
  facts.policy = &policy;
  const Settlement s = settle(Undecodable{{Refusal::undecodable, "body: not JSON", "id", "t"}}, facts);
  CHECK(s.verdict == Verdict::bury);
  CHECK(s.category == "undecodable");
  CHECK(s.cause == "body: not JSON");
  CHECK(s.status.empty());
  CHECK(settle(Undecodable{{Refusal::invalid_task, "kwargs", "id", "t"}}, facts).category == "refused");
}

TEST_CASE("an unregistered task fails and its message is kept") {
  const Settlement s = settle_unregistered("t.nope");
  CHECK(s.status == "FAILURE");
  CHECK(s.result ==
        R"({"exc_type": "NotRegistered", "exc_message": ["t.nope"], "exc_module": "celery.exceptions"})");
  CHECK(s.verdict == Verdict::bury);
  CHECK(s.category == "unknown_task");
}

TEST_CASE("clients see Celery's exceptions") {
  TaskPolicy policy;
  RunFacts facts;
  facts.policy = &policy;
  facts.job = 6;
  CHECK(
      settle(lost(), facts).result ==
      R"({"exc_type": "WorkerLostError", "exc_message": ["Worker exited prematurely: signal 9 (SIGKILL) Job: 6."], "exc_module": "billiard.exceptions"})");
  Lost exited;
  exited.exit_code = 3;
  CHECK(settle(exited, facts).result.find("Worker exited prematurely: exitcode 3 Job: 6.") !=
        std::string::npos);
  CHECK(settle(HardTimeout{1.5}, facts).result ==
        R"({"exc_type": "TimeLimitExceeded", "exc_message": [1.5], "exc_module": "billiard.exceptions"})");
  CHECK(settle_revoked("expired", facts).result ==
        R"({"exc_type": "TaskRevokedError", "exc_message": ["expired"], "exc_module": "celery.exceptions"})");
}

TEST_CASE("a retry is published before it is stored, and without a cause stores null") {
  TaskPolicy policy;
  RunFacts facts;
  facts.policy = &policy;
  CHECK(settle(asked_retry(), facts).next.has_value());
  AskedRetry bare = asked_retry();
  bare.exception.type.clear();
  CHECK(settle(std::move(bare), facts).result == "null");
}

TEST_CASE("a cold shutdown leaves late messages to the broker and says RETRY for the others") {
  TaskPolicy policy;
  RunFacts facts;
  facts.policy = &policy;
  CHECK(settle_cancelled(facts).status.empty());
  facts.acked = true;
  CHECK(settle_cancelled(facts).status == "RETRY");
}

TEST_CASE("log lines are Celery's") {
  CHECK(outcome_text(Returned{"3", "", "[]"}, "t.add", "id1", 1, 0.005) ==
        "Task t.add[id1] succeeded in 0.005s: 3");
  CHECK(outcome_text(threw(), "t.add", "id1", 1, 0) ==
        "Task t.add[id1] raised unexpected: ValueError('boom')\nTraceback");
  Threw expected = threw();
  expected.expected = true;
  expected.traceback.clear();
  CHECK(outcome_text(expected, "t.add", "id1", 1, 0) ==
        "Task t.add[id1] raised expected: ValueError('boom')");
  CHECK(outcome_level(expected) == LogLevel::info);
  CHECK(outcome_level(threw()) == LogLevel::error);
  CHECK(outcome_text(asked_retry(), "t.add", "id1", 1, 0) ==
        "Task t.add[id1] retry: Retry in 1s: ValueError('boom')");
  CHECK(outcome_text(Ignored{}, "t.add", "id1", 1, 0) == "Task t.add[id1] ignored");
  CHECK(outcome_text(Rejected{false, "no"}, "t.add", "id1", 1, 0) ==
        "Task t.add[id1] reject requeue=False: no");
  CHECK(outcome_text(HardTimeout{2}, "t.add", "id1", 1, 0) == "Hard time limit (2s) exceeded for t.add[id1]");
}
