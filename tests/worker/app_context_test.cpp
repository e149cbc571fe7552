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

TEST_CASE("a composition is sent with the ids its result names") {
  Call call;
  Context context(call.job, call.options, call.port, call.soft);
  const Json result = context.apply(chain({Signature("a", {1}), Signature("b")}));
  REQUIRE(call.port.requests.size() == 1);
  const auto& request = std::get<CanvasRequest>(call.port.requests[0]);
  const Json sent = parse_json(request.signature).value();
  CHECK(sent["kwargs"]["tasks"][1]["options"]["task_id"] == result[0][0]);
  CHECK(request.grow_chord.empty());
  call.port.answer = "no";
  CHECK_THROWS_AS(context.apply(Signature("a")), TaskError);
}

TEST_CASE("replace ends the run; add_to_chord needs a chord") {
  Call call;
  Body body;
  Context context(call.job, call.options, call.port, call.soft, &body);
  CHECK_THROWS_AS(context.add_to_chord(Signature("a")), TaskError);
  CHECK_THROWS_AS(context.replace(Signature("a")), Ignore);
  const Json sent = parse_json(std::get<CanvasRequest>(call.port.requests.at(0)).signature).value();
  CHECK(sent["options"]["task_id"] == "id-1");
  body.embed.set_chord(R"({"task": "body"})");
  call.headers->group = "g";
  context.add_to_chord(Signature("a"));
  CHECK(std::get<CanvasRequest>(call.port.requests.at(1)).grow_chord == "g");
  body.embed.set_chain("[" + std::string(5000, '9') + "]");  // nobody reads such a number
  CHECK_THROWS_WITH_AS(context.replace(Signature("a")),
                       "what follows the task cannot be read: JSON: byte 5048: integer too long", TaskError);
  CHECK(call.port.requests.size() == 2);
}

TEST_CASE("built-in tasks run registered functions in the same run") {
  Call call;
  App app;
  app.task("add", [](Context&, int x, int y) { return x + y; }, {.params = {"x", "y"}});
  CHECK(app.tasks().size() == 1);
  Context context(call.job, call.options, call.port, call.soft, nullptr, &app);
  const auto run = [&](const char* name, const Json& args, const char* kwargs) {
    return app.find(name)->body(context, args, parse_json(kwargs).value());
  };
  CHECK(run("celery.starmap", Json::array(), R"({"task": {"task": "add"}, "it": [[1, 2], [3, 4]]})") ==
        Json::array({3, 7}));
  CHECK(run("celery.map", Json::array(), R"({"task": {"task": "add", "args": [10]}, "it": [1, 2]})") ==
        Json::array({11, 12}));
  CHECK_THROWS_AS(run("celery.map", Json::array(), R"({"task": {"task": "nobody"}, "it": [1]})"), TaskError);
  CHECK_THROWS_AS(run("celery.map", Json::array(), R"({"task": 5, "it": [1]})"), BadArguments);
  CHECK(run("celery.accumulate", Json::array({1, 2}), R"({"index": -1})") == 2);
  CHECK_THROWS_AS(run("celery.accumulate", Json::array({1}), R"({"index": 1})"), TaskError);
  CHECK_THROWS_AS(run("celery.chain", Json::array(), "{}"), TaskError);
  const char* parts = R"({"result": [[["a", null], null]]})";
  CHECK(run("celery.chord_unlock", Json::array({"g", {{"task", "body"}}}), parts).is_null());
  call.port.answer = chord_not_ready;
  CHECK_THROWS_AS(run("celery.chord_unlock", Json::array({"g", {{"task", "body"}}}), parts), Retry);
}
