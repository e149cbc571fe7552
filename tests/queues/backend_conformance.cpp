#include "tests/queues/backend_conformance.hpp"

#include "tests/queues/loop.hpp"

#include <doctest/doctest.h>
#include <boost/asio/steady_timer.hpp>

namespace celeriac::testing {

using namespace std::chrono_literals;

BackendLoop::BackendLoop(const BackendUnderTest& under_test, Settings settings) {
  auto made = under_test.make(io, settings);
  REQUIRE_MESSAGE(made.has_value(), (made ? "" : made.error().what));
  backend = std::move(*made);
  backend->start([this](BrokerState state, std::string what) {
    if (state == BrokerState::connected) ++times_connected;
    if (state == BrokerState::lost) ++times_lost;
    if (!what.empty()) last_failure = what;
  });
}

BackendLoop::~BackendLoop() = default;

bool BackendLoop::run_until(const std::function<bool()>& done, std::chrono::seconds limit) {
  return testing::run_until(io, done, limit);
}

void BackendLoop::store(TaskResult result) {
  ++pending;
  backend->store(std::move(result), [this](Status status) {
    --pending;
    status.ok() ? ++stored : ++failures;
    if (!status.ok()) last_failure = status.what;
  });
}

bool BackendLoop::flush() {
  return run_until([this] { return pending == 0; }, 60s);
}

Status BackendLoop::store_now(TaskResult result) {
  std::optional<Status> answer;
  backend->store(std::move(result), [&](Status status) { answer = std::move(status); });
  REQUIRE(run_until([&] { return answer.has_value(); }));
  return *answer;
}

std::optional<Json> BackendLoop::fetch(const std::string& task_id) {
  std::optional<Expected<std::optional<Json>>> answer;
  backend->fetch(task_id, [&](Expected<std::optional<Json>> meta) { answer.emplace(std::move(meta)); });
  REQUIRE(run_until([&] { return answer.has_value(); }));
  REQUIRE_MESSAGE(answer->has_value(), (*answer ? "" : answer->error().what));
  return std::move(**answer);
}

Expected<Json> BackendLoop::wait(const std::string& task_id, std::chrono::milliseconds timeout) {
  std::optional<Expected<Json>> answer;
  backend->wait(task_id, timeout, [&](Expected<Json> meta) { answer.emplace(std::move(meta)); });
  REQUIRE(run_until([&] { return answer.has_value(); }));
  return std::move(*answer);
}

bool BackendLoop::forget(const std::string& task_id) {
  std::optional<Expected<bool>> answer;
  backend->forget(task_id, [&](Expected<bool> known) { answer.emplace(std::move(known)); });
  REQUIRE(run_until([&] { return answer.has_value(); }));
  REQUIRE(answer->has_value());
  return **answer;
}

void BackendLoop::stop() {
  bool stopped = false;
  backend->stop([&] { stopped = true; });
  REQUIRE(run_until([&] { return stopped; }));
}

TaskResult result_of(std::string task_id, std::string_view status, std::string json) {
  TaskResult result;
  result.task_id = std::move(task_id);
  result.status = status;
  result.result = std::move(json);
  result.date_done = 1795173993.803322;  // 2026-11-20T11:26:33.803322
  return result;
}

namespace {

const std::string failure = ExceptionInfo{"ValueError", "builtins", R"(["boom", 7])"}.json();

void keeps_every_state(BackendLoop& loop) {
  struct Case {
    std::string_view status;
    std::string value, traceback;
  };
  const Case cases[] = {
      {state::success, R"({"total": 5})", ""},
      {state::failure, failure, "Traceback (most recent call last):\n  ..."},
      {state::retry, failure, "Traceback"},
      {state::revoked, ExceptionInfo{"TaskRevokedError", "celery.exceptions", R"(["revoked"])"}.json(), ""},
      {state::started, R"({"pid": 7, "hostname": "w1@host"})", ""},
      {"PROGRESS", R"({"done": 3, "of": 9})", ""}};
  for (auto& c : cases) {
    const std::string id = "state-" + std::string(c.status);
    auto result = result_of(id, c.status, c.value);
    result.traceback = c.traceback;
    CHECK(loop.store_now(result).what == "");
    auto meta = loop.fetch(id);
    REQUIRE(meta);
    CAPTURE(id);
    CHECK((*meta)["status"] == c.status);
    CHECK(dump_json((*meta)["result"]) == c.value);
    CHECK((*meta)["task_id"] == id);
    CHECK((*meta)["traceback"] == (c.traceback.empty() ? Json(nullptr) : Json(c.traceback)));
    if (is_ready(c.status))
      CHECK((*meta)["date_done"] == "2026-11-20T11:26:33.803322+00:00");
    else
      CHECK((*meta)["date_done"].is_null());
  }
  CHECK_FALSE(loop.fetch("never-heard-of"));
}

void keeps_every_value(BackendLoop& loop) {
  const char* values[] = {"null",
                          "true",
                          "false",
                          "0",
                          "-1",
                          "255",
                          "65536",
                          "2147483648",
                          "1.5",
                          "1e+16",
                          "0.1",
                          "NaN",
                          "-Infinity",
                          "9223372036854775807",
                          "18446744073709551616",
                          "-1180591620717411303424",
                          "\"\"",
                          "\"\\u0000 \\u00e9 \\ud83d\\ude00\"",
                          "[]",
                          "{}",
                          "[[], {}]",
                          "[1, 2.5, true, null, \"x\"]",
                          R"({"a": {"b": [1, [2, [3]]]}, "": 0})"};
  int i = 0;
  for (std::string value : values)
    loop.store(result_of("value-" + std::to_string(i++), state::success, value));
  REQUIRE(loop.flush());
  CHECK(loop.failures == 0);
  i = 0;
  for (std::string value : values) {
    auto meta = loop.fetch("value-" + std::to_string(i++));
    REQUIRE(meta);
    CHECK(dump_json((*meta)["result"]) == value);
  }
  const std::string large = "\"" + std::string(3u << 20, 'x') + "\"";
  CHECK(loop.store_now(result_of("value-large", state::success, large)).what == "");
  CHECK(dump_json((*loop.fetch("value-large"))["result"]) == large);
}

void keeps_the_order_of_one_task(BackendLoop& loop) {
  for (int i = 0; i < 300; ++i) {
    loop.store(result_of("order", "PROGRESS", std::to_string(i)));
    loop.store(result_of("order-other-" + std::to_string(i), state::started));
    loop.store(result_of("order-other-" + std::to_string(i), state::success, std::to_string(i)));
    if (i % 50 == 0) loop.io.poll();
  }
  loop.store(result_of("order", state::failure, failure));
  REQUIRE(loop.flush());
  CHECK((*loop.fetch("order"))["status"] == "FAILURE");
  for (int i = 0; i < 300; ++i) CHECK((*loop.fetch("order-other-" + std::to_string(i)))["result"] == i);
  // A run after a failure shows again.
  CHECK(loop.store_now(result_of("order", state::started)).ok());
  CHECK((*loop.fetch("order"))["status"] == "STARTED");
  CHECK(loop.store_now(result_of("order", state::success, "1")).ok());
  CHECK((*loop.fetch("order"))["status"] == "SUCCESS");
}

void never_loses_a_success(BackendLoop& loop, bool success_replaces_success) {
  CHECK(loop.store_now(result_of("kept", state::success, "1")).ok());
  for (auto status :
       {state::failure, state::started, state::retry, state::revoked, std::string_view("PROGRESS")})
    CHECK(loop.store_now(result_of("kept", status, failure)).what == "");
  CHECK((*loop.fetch("kept"))["status"] == "SUCCESS");
  CHECK((*loop.fetch("kept"))["result"] == 1);
  CHECK(loop.store_now(result_of("kept", state::success, "2")).ok());
  CHECK((*loop.fetch("kept"))["result"] == (success_replaces_success ? 2 : 1));
  // The same within one batch.
  loop.store(result_of("kept-2", state::started));
  loop.store(result_of("kept-2", state::success, "3"));
  loop.store(result_of("kept-2", state::failure, failure));
  REQUIRE(loop.flush());
  CHECK((*loop.fetch("kept-2"))["result"] == 3);
}

void keeps_relations(BackendLoop& loop) {
  auto result = result_of("relations", state::success, "1");
  result.children = R"([[["child", null], null]])";
  result.group_id = "group-1";
  result.parent_id = "parent-1";
  CHECK(loop.store_now(result).ok());
  auto meta = loop.fetch("relations");
  CHECK(dump_json((*meta)["children"]) == result.children);
  CHECK((*meta)["group_id"] == "group-1");
  CHECK((*meta)["parent_id"] == "parent-1");
}

void keeps_extended_fields(BackendLoop& loop) {
  auto result = result_of("extended", state::success, "1");
  result.extended = true;
  result.name = "invoices.read";
  result.args = R"([1, "\u00e9"])";
  result.kwargs = R"({"strict": true})";
  result.worker = "w1@host";
  result.queue = "validation";
  result.retries = 2;
  CHECK(loop.store_now(result).ok());
  auto meta = loop.fetch("extended");
  CHECK((*meta)["name"] == "invoices.read");
  CHECK(dump_json((*meta)["args"]) == result.args);
  CHECK(dump_json((*meta)["kwargs"]) == result.kwargs);
  CHECK((*meta)["worker"] == "w1@host");
  CHECK((*meta)["queue"] == "validation");
  CHECK((*meta)["retries"] == 2);
  CHECK(loop.store_now(result_of("plain", state::success, "1")).ok());
  CHECK_FALSE(loop.fetch("plain")->contains("args"));
}

void waits(BackendLoop& loop) {
  CHECK(loop.store_now(result_of("wait-ready", state::success, "1")).ok());
  auto ready = loop.wait("wait-ready", 5s);
  REQUIRE(ready);
  CHECK((*ready)["result"] == 1);

  CHECK_FALSE(loop.wait("wait-never", 60ms));

  // Three wait before it is there; states in between do not end the wait.
  int served = 0;
  for (int i = 0; i < 3; ++i)
    loop.backend->wait("wait-later", 10s,
                       [&](Expected<Json> meta) { served += meta && (*meta)["result"] == 2; });
  boost::asio::steady_timer timer(loop.io, 60ms);
  timer.async_wait([&](auto) {
    loop.store(result_of("wait-later", state::started));
    loop.store(result_of("wait-later", state::success, "2"));
  });
  CHECK(loop.run_until([&] { return served == 3; }, 5s));
  CHECK((*loop.wait("wait-later", 5s))["result"] == 2);
}

void forgets(BackendLoop& loop) {
  CHECK(loop.store_now(result_of("forget", state::success, "1")).ok());
  CHECK(loop.forget("forget"));
  CHECK_FALSE(loop.forget("forget"));
  CHECK_FALSE(loop.fetch("forget"));
  CHECK(loop.store_now(result_of("forget", state::failure, failure)).ok());
  CHECK((*loop.fetch("forget"))["status"] == "FAILURE");
}

// The clients' connections are ended again and again while results pour in.
void survives_lost_connections(BackendLoop& loop, const BackendUnderTest& under_test) {
  constexpr int count = 10000, kills = 12;
  const std::string_view states[] = {state::success, state::failure, state::retry, state::revoked,
                                     "PROGRESS"};
  const auto value = [](int i) { return "[" + std::to_string(i) + ", \"\\u00e9\"]"; };
  int sent = 0, killed = 0;
  const auto settled = [&] { return loop.stored + loop.failures; };
  std::optional<bool> waited;
  loop.backend->wait("load-9995", 60s, [&](Expected<Json> meta) { waited = meta.has_value(); });
  while (sent < count) {
    for (int i = 0; i < 100; ++i, ++sent) {
      const std::string id = "load-" + std::to_string(sent);
      loop.store(result_of(id, state::started));
      loop.store(result_of(id, states[sent % 5], sent % 5 == 1 || sent % 5 == 3 ? failure : value(sent)));
    }
    loop.io.poll();
    if (under_test.kill_connections && sent * kills / count > killed) {
      // In the middle of the work: when some of what is under way has been answered.
      const auto before = settled();
      REQUIRE(loop.run_until([&] { return settled() > before || loop.pending == 0; }));
      under_test.kill_connections();
      ++killed;
    }
  }
  REQUIRE(loop.flush());
  CHECK(loop.failures == 0);
  CHECK(loop.stored == 2 * count);
  CHECK((loop.times_lost > 0) == (under_test.kill_connections != nullptr));
  CHECK(loop.run_until([&] { return waited.has_value(); }));
  CHECK(waited == true);
  int wrong = 0, answered = 0;
  for (int i = 0; i < count; ++i)
    loop.backend->fetch("load-" + std::to_string(i), [&, i](Expected<std::optional<Json>> meta) {
      ++answered;
      const bool right = meta && *meta && (**meta)["status"] == states[i % 5] &&
                         dump_json((**meta)["result"]) == (i % 5 == 1 || i % 5 == 3 ? failure : value(i));
      wrong += !right;
    });
  REQUIRE(loop.run_until([&] { return answered == count; }, 60s));
  CHECK(wrong == 0);
}

void writes_everything_before_it_stops(const BackendUnderTest& under_test) {
  BackendLoop first(under_test);
  for (int i = 0; i < 500; ++i) first.store(result_of("stop-" + std::to_string(i), state::success, "1"));
  first.stop();
  CHECK(first.stored == 500);
  BackendLoop second(under_test);
  CHECK(second.fetch("stop-0"));
  CHECK(second.fetch("stop-499"));
}

}  // namespace

void exercise_backend(const BackendUnderTest& under_test) {
  SUBCASE("writes everything before it stops") { writes_everything_before_it_stops(under_test); }
  BackendLoop loop(under_test);
  SUBCASE("keeps every state") { keeps_every_state(loop); }
  SUBCASE("keeps every JSON value") { keeps_every_value(loop); }
  SUBCASE("keeps the order of one task") { keeps_the_order_of_one_task(loop); }
  SUBCASE("never loses a success") { never_loses_a_success(loop, under_test.success_replaces_success); }
  SUBCASE("keeps children, group and parent") {
    if (under_test.keeps_relations) keeps_relations(loop);
  }
  SUBCASE("keeps the extended fields") { keeps_extended_fields(loop); }
  SUBCASE("waits") { waits(loop); }
  SUBCASE("forgets") { forgets(loop); }
  SUBCASE("loses nothing when connections are lost under load") {
    survives_lost_connections(loop, under_test);
  }
}

}  // namespace celeriac::testing
