// What a running task sees of its call, and what it asks for.
#include "worker/app.hpp"

#include <doctest/doctest.h>

using namespace celeriac;

namespace {

struct Port : TaskPort {
  std::vector<TaskRequest> requests;
  std::string answer;
  std::string request(TaskRequest request) override {
    requests.push_back(std::move(request));
    return answer;
  }
};

struct Call {
  std::shared_ptr<Message> message = std::make_shared<Message>();
  std::shared_ptr<TaskHeaders> headers = std::make_shared<TaskHeaders>();
  Job job;
  TaskOptions options;
  Port port;
  std::atomic<bool> soft{false};

  Call() {
    headers->id = "id-1";
    headers->task = "t.x";
    message->headers = R"({"id": "id-1", "x-tenant": {"name": "acme"}})";
    message->properties.priority = 5;
    job.message = message;
    job.headers = headers;
    job.queue = "celery";
    job.hostname = "w@h";
  }
};

}  // namespace

TEST_CASE("a call's facts") {
  Call call;
  Context context(call.job, call.options, call.port, call.soft);
  CHECK(context.root_id() == "id-1");
  CHECK(context.header("x-tenant") == Json{{"name", "acme"}});
  CHECK(context.header("x-none").is_null());
  CHECK(context.priority() == 5);
  CHECK(context.routing_key() == "celery");
  CHECK(context.hostname() == "w@h");
}

TEST_CASE("send waits for the broker's word and remembers the child") {
  Call call;
  Context context(call.job, call.options, call.port, call.soft);
  const std::string id = context.send("t.y", Json::array({1}));
  REQUIRE(call.port.requests.size() == 1);
  CHECK(std::get<SendRequest>(call.port.requests[0]).task_id == id);
  CHECK(dump_json(context.children()) == "[[[\"" + id + "\", null], null]]");
  call.port.answer = "connection refused";
  try {
    context.send("t.y");
    FAIL("sent");
  } catch (const TaskError& e) {
    CHECK(e.info().type == "OperationalError");
    CHECK(e.info().module == "kombu.exceptions");
  }
  CHECK(context.children().size() == 1);
}

TEST_CASE("states, progress and log lines") {
  Call call;
  Context context(call.job, call.options, call.port, call.soft);
  context.update_state("MIXING", Json{{"speed", 2}});
  context.progress(3, 10, "pages");
  context.log(2, "half way");
  REQUIRE(call.port.requests.size() == 3);
  CHECK(std::get<StateRequest>(call.port.requests[0]).meta == R"({"speed": 2})");
  CHECK(std::get<StateRequest>(call.port.requests[1]).state == "PROGRESS");
  CHECK(std::get<StateRequest>(call.port.requests[1]).meta ==
        R"({"current": 3, "total": 10, "stage": "pages"})");
  CHECK(std::get<LogRequest>(call.port.requests[2]).text == "half way");
}

TEST_CASE("the soft limit strikes at a checkpoint") {
  Call call;
  Context context(call.job, call.options, call.port, call.soft);
  context.checkpoint();
  call.soft = true;
  CHECK(context.soft_limit_exceeded());
  CHECK_THROWS_AS(context.checkpoint(), SoftTimeLimitExceeded);
}

TEST_CASE("retry ends the run, or fails it once retries are used up") {
  Call call;
  Context context(call.job, call.options, call.port, call.soft);
  CHECK_THROWS_AS(context.retry(), Retry);
  try {
    context.retry({.countdown = 2, .exc = TaskError("ValueError", "boom")});
  } catch (const Retry& retry) {
    CHECK(retry.when == "in 2s");
    CHECK(retry.cause.repr() == "ValueError('boom')");
  }
  call.headers->retries = 3;
  const auto type_of = [&](RetryOptions options) -> std::string {
    try {
      context.retry(std::move(options));
    } catch (const TaskError& e) {
      return e.info().type;
    } catch (const Retry&) {
      return "retried";
    }
  };
  CHECK(type_of({}) == "MaxRetriesExceededError");
  CHECK(type_of({.exc = TaskError("ValueError", "boom")}) == "ValueError");
  CHECK(type_of({.max_retries = 4}) == "retried");
  CHECK(type_of({.max_retries = -1}) == "retried");
}

TEST_CASE("an exception reads as Python's") {
  CHECK(std::string(TaskError("ValueError", "boom").what()) == "boom");
  CHECK(std::string(TaskError("ValueError", Json::array({"boom", 7})).what()) == "('boom', 7)");
  CHECK(exception_line(SoftTimeLimitExceeded().info()) == "billiard.exceptions.SoftTimeLimitExceeded");
  CHECK(exception_line(BadArguments("no").info()) == "TypeError: no");
}
