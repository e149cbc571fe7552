#include "tests/worker/pool_conformance.hpp"
#include "worker/async_task.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <chrono>

using namespace celeriac;

namespace {

awaitable<Json> wait_for(Context&, const Json& args, const Json&) {
  const auto executor = co_await boost::asio::this_coro::executor;
  boost::asio::steady_timer timer(executor, std::chrono::milliseconds(args.at(0).get<int>()));
  co_await timer.async_wait(boost::asio::use_awaitable);
  co_return args.at(0);
}

awaitable<Json> fail_later(Context&, const Json&, const Json&) {
  const auto blocking = [] { throw TaskError("ValueError", "blocked"); };
  co_await run_blocking(blocking);
  co_return nullptr;
}

awaitable<Json> send_later(Context& context, const Json&, const Json&) {
  const auto sending = [&context] { return context.send("other", Json::array({1})); };
  const std::string id = co_await run_blocking(sending);
  co_return id;
}

struct AsyncHarness : PoolHarness {
  explicit AsyncHarness(const std::string& name, unsigned slots) : PoolHarness(name, options(slots)) {}
  static PoolOptions options(unsigned slots) {
    PoolOptions out;
    out.slots = slots;
    return out;
  }
};

}  // namespace

// The harness registers pool_test_app(); these come on top.
static void add_coroutines(App& app) {
  app.async_task("wait_for", wait_for, {.params = {"milliseconds"}});
  app.async_task("fail_later", fail_later);
  app.async_task("send_later", send_later);
}

TEST_CASE("the async pool is a pool") {
  PoolTraits traits;
  traits.name = "async";
  check_pool_conformance(traits);
}

TEST_CASE("hundreds of coroutines wait at once") {
  AsyncHarness h("async", 300);
  add_coroutines(h.app);
  for (int i = 0; i < 300; ++i) h.submit("wait_for", "[400]");
  h.until([&] { return h.started.size() == 300; });
  CHECK(h.pool->busy() == 300);
  CHECK(h.finished.empty());
  h.until_finished(300);
  for (const auto& [job, finished] : h.finished) CHECK(h.result(job) == "400");
}

TEST_CASE("coroutines fail, send and are run by the other pools too") {
  for (const char* kind : {"async", "threads"}) {
    CAPTURE(kind);
    AsyncHarness h(kind, 2);
    add_coroutines(h.app);
    const JobId failing = h.submit("fail_later");
    const JobId sending = h.submit("send_later");
    h.until_finished(2);
    CHECK(h.outcome<Threw>(failing).exception.repr() == "ValueError('blocked')");
    REQUIRE(h.requests.size() == 1);
    CHECK(h.result(sending) == "\"" + std::get<SendRequest>(h.requests[0].second).task_id + "\"");
    CHECK(h.call("wait_for", "[1]") == "1");
  }
}

TEST_CASE("a waiting coroutine meets its limits and can be ended") {
  AsyncHarness h("async", 4);
  add_coroutines(h.app);
  Job soft = test_job(0, "wait_for", "[60000]");
  soft.soft_limit = 0.1;
  const JobId limited = h.submit(std::move(soft));
  Job hard = test_job(0, "wait_for", "[60000]");
  hard.hard_limit = 0.2;
  const JobId killed = h.submit(std::move(hard));
  const JobId doomed = h.submit("wait_for", "[60000]");
  h.until([&] { return h.started.count(doomed) > 0; });
  CHECK(h.pool->terminate(doomed, SIGTERM));
  h.until_finished(3);
  CHECK(h.outcome<Threw>(limited).exception.type == "SoftTimeLimitExceeded");
  CHECK(h.soft_timeouts == std::vector<JobId>{limited});
  CHECK(h.outcome<HardTimeout>(killed).limit == 0.2);
  CHECK(h.outcome<Lost>(doomed).terminated);
  CHECK_FALSE(h.pool->terminate(doomed, SIGTERM));
  CHECK(h.call("echo", "[1]") == "1");
}

TEST_CASE("in a thread the soft limit ends the wait as well") {
  AsyncHarness h("threads", 1);
  add_coroutines(h.app);
  Job job = test_job(0, "wait_for", "[60000]");
  job.soft_limit = 0.1;
  const JobId limited = h.submit(std::move(job));
  h.until_finished(1);
  CHECK(h.outcome<Threw>(limited).exception.type == "SoftTimeLimitExceeded");
}

TEST_CASE("stopping ends every coroutine") {
  AsyncHarness h("async", 20);
  add_coroutines(h.app);
  for (int i = 0; i < 22; ++i) h.submit("wait_for", "[60000]");
  h.until([&] { return h.started.size() == 20; });
  bool stopped = false;
  h.pool->stop([&] { stopped = true; });
  h.until([&] { return stopped; });
  CHECK(h.finished.size() == 20);
  for (const auto& [job, finished] : h.finished) CHECK(std::get<Lost>(finished.outcome).terminated);
  CHECK(h.pool->drop_queued().size() == 2);
}

TEST_CASE("destroyed while coroutines wait") {
  AsyncHarness h("async", 20);
  add_coroutines(h.app);
  for (int i = 0; i < 22; ++i) h.submit("wait_for", "[60000]");
  h.until([&] { return h.started.size() == 20; });
  h.pool.reset();
  h.io.poll();
  CHECK(h.finished.empty());
}
