// Retries: when, how often, and the message of the next run.
#include "worker/retry.hpp"

#include "protocol/time.hpp"
#include "worker/outgoing.hpp"

#include <doctest/doctest.h>

using namespace celeriac;

namespace {

TaskOptions backoff(double factor, bool jitter = false) {
  TaskOptions options;
  options.retry_backoff = factor;
  options.retry_jitter = jitter;
  return options;
}

Job job_of(const char* headers, const char* body) {
  auto message = std::make_shared<Message>();
  message->headers = headers;
  message->body = body;
  message->properties.routing_key = "math";
  message->properties.priority = 6;
  message->properties.delivery_tag = "tag-1";
  message->properties.reply_to = "reply-1";
  message->properties.redelivered = true;
  auto parsed = read_task(*message, {"application/json"});
  REQUIRE(parsed);
  Job job;
  job.message = message;
  job.headers = std::make_shared<TaskHeaders>(std::move(*parsed));
  job.queue = "math";
  return job;
}

constexpr const char* headers_text =
    R"({"lang": "py", "task": "t.add", "id": "id-1", "shadow": null, "eta": null,)"
    R"( "expires": "2026-11-20T12:00:00+00:00", "group": "g-1", "group_index": 2, "retries": 1,)"
    R"h( "timelimit": [20, 10], "root_id": "root-1", "parent_id": "up-1", "argsrepr": "(1, 2)", "kwargsrepr": "{}",)h"
    R"( "origin": "gen7@host", "ignore_result": false, "replaced_task_nesting": 1, "stamped_headers": ["tag"],)"
    R"( "stamps": {"tag": "a"}, "x-tenant": {"a": [1]}, "x-death": [{"count": 1}], "x-first-death-queue": "q",)"
    R"( "redelivered": true})";
constexpr const char* body_text =
    R"([[1,  2], {}, {"callbacks": null, "errbacks": null, "chain": [], "chord": null}])";

}  // namespace

TEST_CASE("backoff doubles up to its maximum") {
  const auto random = [](std::uint64_t) -> std::uint64_t { return 0; };
  CHECK(autoretry_delay(backoff(1), 0, random) == 1);
  CHECK(autoretry_delay(backoff(1), 1, random) == 2);
  CHECK(autoretry_delay(backoff(3), 4, random) == 48);
  CHECK(autoretry_delay(backoff(2.9), 1, random) == 4);
  CHECK(autoretry_delay(backoff(0.5), 0, random) == 1);
  CHECK(autoretry_delay(backoff(1), 10, random) == 600);
  CHECK(autoretry_delay(backoff(1), 1000000, random) == 600);
  CHECK(autoretry_delay(backoff(0), 5, random) == 180);
}

TEST_CASE("full jitter picks from zero to the whole delay") {
  std::uint64_t asked = 0;
  const auto last = [&](std::uint64_t bound) { return (asked = bound) - 1; };
  CHECK(autoretry_delay(backoff(1, true), 3, last) == 8);
  CHECK(asked == 9);
}

TEST_CASE("max_retries counts the runs after the first") {
  CHECK_FALSE(retries_used_up(0, 1));
  CHECK(retries_used_up(1, 1));
  CHECK(retries_used_up(0, 0));
  CHECK_FALSE(retries_used_up(1000000, std::nullopt));
}

TEST_CASE("which exceptions are retried by themselves") {
  TaskOptions options;
  options.autoretry_for = {"Exception"};
  options.dont_autoretry_for = {"KeyError"};
  CHECK(autoretries(options, {"ValueError", "builtins", "[]"}));
  CHECK_FALSE(autoretries(options, {"KeyError", "builtins", "[]"}));
  options.autoretry_for = {"OSError"};
  CHECK_FALSE(autoretries(options, {"ValueError", "builtins", "[]"}));
  CHECK_FALSE(autoretries({}, {"ValueError", "builtins", "[]"}));
}

TEST_CASE("the reason reads as Celery's") {
  Retry retry;
  retry.when = retry_time({}, 1, 180, 0).when;
  CHECK(retry_reason(retry) == "Retry in 1s");
  retry.cause = {"ValueError", "builtins", R"(["x"])"};
  CHECK(retry_reason(retry) == "Retry in 1s: ValueError('x')");
  CHECK(retry_time({}, 0.2, 180, 100).when == "in 0.2s");
  CHECK(retry_time({}, 0.2, 180, 100).eta == doctest::Approx(100.2));
  CHECK(retry_time({}, {}, 180, 100).eta == 280);
  CHECK(retry_time(1763632800, {}, 180, 100).when == "at 2025-11-20 10:00:00+00:00");
}

TEST_CASE("used up retries name the call") {
  TaskHeaders headers;
  headers.task = "t.add";
  headers.id = "id-1";
  const ExceptionInfo info = max_retries_exceeded(headers, Json::array({1, "a"}), Json{{"k", nullptr}});
  CHECK(info.type == "MaxRetriesExceededError");
  CHECK(info.module == "celery.exceptions");
  CHECK(info.args == R"h(["Can't retry t.add[id-1] args:(1, 'a') kwargs:{'k': None}"])h");
}

TEST_CASE("the next run keeps its place in the workflow") {
  const Job job = job_of(headers_text, body_text);
  const auto body = read_body(*job.message, *job.headers, {"application/json"});
  REQUIRE(body);
  Retry retry;
  retry.eta = 1763640000.5;
  const double now = *parse_iso8601("2026-11-20T11:59:58+00:00");
  const Outgoing next = build_retry(job, *body, retry, now);
  CHECK(next.queue == "math");
  CHECK(next.message.body == body_text);  // byte for byte
  const Json headers = *parse_json(next.message.headers);
  Json expected = *parse_json(headers_text);
  expected["eta"] = format_iso8601(1763640000.5);
  expected["retries"] = 2;
  expected["parent_id"] = "id-1";
  for (const char* gone : {"x-death", "x-first-death-queue", "redelivered"}) expected.erase(gone);
  for (const auto& [name, value] : expected.items()) {
    CAPTURE(name);
    CHECK(headers.value(name, Json("absent")) == value);
  }
  CHECK(headers.size() == expected.size());
  const Properties& properties = next.message.properties;
  CHECK(properties.priority == 6);
  CHECK(properties.correlation_id == "id-1");
  CHECK(properties.reply_to == "reply-1");
  CHECK(properties.delivery_tag.empty());
  CHECK_FALSE(properties.redelivered);
  CHECK(properties.expiration == "2000");
}

TEST_CASE("replaced arguments make a new body and keep the canvas") {
  const Job job = job_of(headers_text, body_text);
  const auto body = read_body(*job.message, *job.headers, {"application/json"});
  REQUIRE(body);
  Retry retry;
  retry.args = Json::array({7});
  const Outgoing next = build_retry(job, *body, retry, 0);
  CHECK(next.message.body ==
        R"([[7], {}, {"callbacks": null, "errbacks": null, "chain": [], "chord": null}])");
  CHECK(parse_json(next.message.headers)->at("argsrepr") == "(7,)");
}

TEST_CASE("a new task descends from its sender") {
  TaskHeaders parent;
  parent.id = "id-1";
  parent.root_id = "root-1";
  SendOptions options;
  options.queue = "mail";
  options.countdown = 10;
  options.expires = 1763640060;
  options.time_limit = 30;
  options.priority = 3;
  options.headers = Json{{"x-tenant", "acme"}};
  const SendRequest request =
      build_send(parent, "t.mail", Json::array({"a"}), Json::object(), options, 1763640000);
  const Json headers = *parse_json(request.outgoing.message.headers);
  CHECK(headers["id"] == request.task_id);
  CHECK(request.task_id.size() == 36);
  CHECK(headers["root_id"] == "root-1");
  CHECK(headers["parent_id"] == "id-1");
  CHECK(headers["eta"] == format_iso8601(1763640010));
  CHECK(headers["timelimit"] == Json::array({30, nullptr}));
  CHECK(headers["argsrepr"] == "('a',)");
  CHECK(headers["x-tenant"] == "acme");
  CHECK(headers["retries"] == 0);
  CHECK(request.outgoing.queue == "mail");
  CHECK(request.outgoing.message.properties.priority == 3);
  CHECK(request.outgoing.message.properties.expiration == "60000");
  CHECK(request.outgoing.message.body ==
        R"([["a"], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}])");
  CHECK(dump_json(result_tuple("id-2")) == R"([["id-2", null], null])");
}
