// run_task: every way a run can end becomes an Outcome.
#include "worker/context.hpp"
#include "worker/run_task.hpp"

#include <doctest/doctest.h>

#include <new>

using namespace celeriac;

namespace {

struct Port : TaskPort {
  std::string request(TaskRequest) override { return {}; }
};

struct Runner {
  App app;
  Port port;
  std::vector<std::string> accept = {"application/json"};
  std::atomic<bool> soft{false};
  std::string encoding = "utf-8";
  int starts = 0;

  Finished run(const std::string& task, const std::string& body = "[[], {}, {}]", int retries = 0) {
    auto message = std::make_shared<Message>();
    message->headers =
        R"({"task": ")" + task + R"(", "id": "id-1", "retries": )" + std::to_string(retries) + "}";
    message->body = body;
    message->content_encoding = encoding;
    Job job;
    job.id = 7;
    job.queue = "celery";
    job.message = message;
    job.headers = std::make_shared<TaskHeaders>(*read_task(*message, accept));
    return run_task({app, accept, port}, job, soft, [this] { ++starts; });
  }
};

template <class T>
T as(Finished finished) {
  REQUIRE(std::holds_alternative<T>(finished.outcome));
  return std::get<T>(std::move(finished.outcome));
}

}  // namespace

TEST_CASE("a value, with the canvas that follows it") {
  Runner r;
  r.app.task("echo", [](Context&, Json value) { return value; }, {.params = {"x"}});
  const Finished plain = r.run("echo", R"([[{"a": 1.50}], {}, {"callbacks": null, "chain": null}])");
  CHECK(plain.job == 7);
  CHECK(plain.args_repr == "({'a': 1.5},)");
  CHECK(as<Returned>(plain).result == R"({"a": 1.5})");
  CHECK_FALSE(as<Returned>(plain).embed);
  CHECK(r.starts == 1);
  const auto linked = as<Returned>(r.run("echo", R"([[1], {}, {"callbacks": [{"task": "t"}]}])"));
  CHECK_FALSE(linked.embed);  // it lies open in the message
}

TEST_CASE("the canvas of a body that must be read in another way is handed back") {
  Runner r;
  r.app.task("echo", [](Context&, Json value) { return value; }, {.params = {"x"}});
  r.encoding = "latin-1";
  CHECK(as<Returned>(r.run("echo", R"([[1], {}, {"callbacks": null}])")).embed == "");
  const auto linked = as<Returned>(r.run("echo", "[[1], {}, {\"callbacks\": [{\"task\": \"\xe9\"}]}]"));
  REQUIRE(linked.embed);
  CHECK(parse_json(*linked.embed)->at("callbacks")[0].at("task") == "\u00e9");
}

TEST_CASE("an unreadable body is no start") {
  Runner r;
  r.app.task("echo", [](Context&) {});
  const Undecodable bad = as<Undecodable>(r.run("echo", "[[1"));
  CHECK_FALSE(bad.why.cause.empty());
  CHECK(r.starts == 0);
}

TEST_CASE("failures keep their Python type") {
  Runner r;
  r.app.task("typed",
             [](Context&) {
               throw TaskError("FuzzError", Json::array({"x", 1}), "fuzz_tasks");
             },
             {.throws = {"FuzzError"}});
  r.app.task("plain", [](Context&) { throw std::out_of_range("too far"); });
  r.app.task("odd", [](Context&) { throw 3; });
  r.app.task("memory", [](Context&) { throw std::bad_alloc(); });
  r.app.task("soft", [](Context& context) { context.checkpoint(); });
  r.app.task("one", [](Context&, int) {}, {.params = {"x"}});
  const Threw typed = as<Threw>(r.run("typed"));
  CHECK(typed.exception.json() ==
        R"({"exc_type": "FuzzError", "exc_message": ["x", 1], "exc_module": "fuzz_tasks"})");
  CHECK(typed.expected);
  CHECK(typed.traceback ==
        "Traceback (most recent call last):\n  C++ task 'typed'\nfuzz_tasks.FuzzError: ('x', 1)\n");
  CHECK(as<Threw>(r.run("plain")).exception.repr() == "RuntimeError('too far')");
  CHECK(as<Threw>(r.run("odd")).exception.repr() == "RuntimeError('unknown C++ exception')");
  CHECK(as<Threw>(r.run("memory")).exception.type == "MemoryError");
  CHECK(as<Threw>(r.run("one")).exception.type == "TypeError");
  CHECK(as<Threw>(r.run("nobody")).exception.type == "NotRegistered");
  r.soft = true;
  CHECK(as<Threw>(r.run("soft")).exception.module == "billiard.exceptions");
}

TEST_CASE("ignore, reject and retry") {
  Runner r;
  r.app.task("ignore", [](Context&) { throw Ignore{}; });
  r.app.task("reject", [](Context&) { throw Reject{"no", true}; });
  r.app.task("retry",
             [](Context& context) { context.retry({.countdown = 1, .exc = TaskError("ValueError", "x")}); });
  as<Ignored>(r.run("ignore"));
  CHECK(as<Rejected>(r.run("reject")).requeue);
  const AskedRetry retry = as<AskedRetry>(r.run("retry"));
  CHECK(retry.reason == "Retry in 1s: ValueError('x')");
  CHECK(retry.traceback.ends_with("celery.exceptions.Retry: Retry in 1s: ValueError('x')\n"));
  CHECK(retry.children == R"([[["id-1", null], null]])");
  CHECK(retry.next.queue == "celery");
  CHECK(parse_json(retry.next.message.headers)->at("retries") == 1);
  CHECK(as<Threw>(r.run("retry", "[[], {}, {}]", 3)).exception.type == "ValueError");
}

TEST_CASE("listed exceptions are retried without a word in the task") {
  Runner r;
  r.app.task(
      "flaky", [](Context&) { throw TaskError("OperationalError", "away"); },
      {.max_retries = 2, .autoretry_for = {"OperationalError"}, .retry_backoff = 1, .retry_jitter = false});
  CHECK(as<AskedRetry>(r.run("flaky", "[[], {}, {}]", 1)).reason == "Retry in 2s: OperationalError('away')");
  CHECK(as<Threw>(r.run("flaky", "[[], {}, {}]", 2)).exception.type == "OperationalError");
}
