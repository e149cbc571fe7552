// What tasks do to their process, and what the pool makes of it.
#include "tests/worker/pool_conformance.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__)
constexpr bool sanitized =
    true;  // it turns crashes into exit codes, and needs an address space without limit
#else
constexpr bool sanitized = false;
#endif

using namespace celeriac;

namespace {

PoolOptions one_slot() {
  PoolOptions options;
  options.slots = 1;
  return options;
}

double seconds_until_answer(PoolHarness& h) {
  const auto start = std::chrono::steady_clock::now();
  CHECK(h.call("echo", "[1]") == "1");
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TEST_CASE("a task that takes its process down is told apart, and the slot is back") {
  PoolHarness h("prefork", one_slot());
  h.call("noop");
  const JobId exited = h.submit("exit", "[3]");
  h.until_finished(2);
  CHECK(h.outcome<Lost>(exited).exit_code == 3);
  CHECK(h.outcome<Lost>(exited).signal == 0);
  CHECK_FALSE(h.outcome<Lost>(exited).terminated);
  CHECK(seconds_until_answer(h) < 1);
  const JobId aborted = h.submit("abort");
  h.until_finished(4);
  CHECK(h.outcome<Lost>(aborted).signal == SIGABRT);
  CHECK(seconds_until_answer(h) < 1);
  const JobId crashed = h.submit("segfault");
  h.until_finished(6);
  if (!sanitized) CHECK(h.outcome<Lost>(crashed).signal == SIGSEGV);
  CHECK(h.started.count(crashed) == 1);
  CHECK(seconds_until_answer(h) < 1);
}

TEST_CASE("SIGKILL from outside hits one job only") {
  PoolOptions options = one_slot();
  options.queued_per_slot = 8;
  PoolHarness h("prefork", options);
  for (int i = 0; i < 50; ++i) h.call("noop");
  // Quick jobs so far, so these wait inside the slot.
  const JobId victim = h.submit("nap", "[60]");
  for (int i = 0; i < 5; ++i) h.submit("echo", "[7]");
  h.until([&] { return h.started.count(victim) > 0; });
  kill(h.started.at(victim).pid, SIGKILL);
  h.until_finished(56);
  CHECK(h.outcome<Lost>(victim).signal == SIGKILL);
  CHECK_FALSE(h.outcome<Lost>(victim).terminated);
  for (JobId job = victim + 1; job <= victim + 5; ++job) CHECK(h.result(job) == "7");
}

TEST_CASE("signals a supervisor sends to everybody leave running tasks alone") {
  PoolHarness h("prefork", one_slot());
  const JobId job = h.submit("nap", "[0.5]");
  h.until([&] { return h.started.count(job) > 0; });
  for (int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT}) kill(h.started.at(job).pid, signal);
  h.until_finished(1);
  CHECK(h.result(job) == "null");
}

TEST_CASE("a soft limit set by hand, with SIGUSR1") {
  PoolHarness h("prefork", one_slot());
  const JobId job = h.submit("await_soft_limit", "[10]");
  h.until([&] { return h.started.count(job) > 0; });
  SUBCASE("through the pool") { CHECK(h.pool->terminate(job, SIGUSR1)); }
  SUBCASE("from the shell") { kill(h.started.at(job).pid, SIGUSR1); }
  h.until_finished(1);
  CHECK(h.result(job) == "\"caught\"");
}

TEST_CASE("the hard limit follows the soft one when the task does not listen") {
  PoolHarness h("prefork", one_slot());
  Job job = test_job(0, "hang");
  job.soft_limit = 0.1;
  job.hard_limit = 0.3;
  const JobId hanging = h.submit(std::move(job));
  h.until_finished(1);
  CHECK(h.soft_timeouts == std::vector<JobId>{hanging});
  CHECK(h.outcome<HardTimeout>(hanging).limit == 0.3);
  CHECK(h.finished.at(hanging).usage.wall >= 0.3);
}

TEST_CASE("limits can be set while the job runs") {
  PoolHarness h("prefork", one_slot());
  const JobId job = h.submit("hang");
  h.until([&] { return h.started.count(job) > 0; });
  h.pool->set_limits(job, 0, 0.1);
  h.until_finished(1);
  CHECK(h.outcome<HardTimeout>(job).limit == 0.1);
}

TEST_CASE("the memory limit fails the task and spares the slot") {
  if (sanitized) return;
  PoolOptions options = one_slot();
  options.memory_limit = 256u << 20;
  PoolHarness h("prefork", options);
  const std::string pid = h.call("pid");
  CHECK(h.call("devour", "[100]") == "100");
  const JobId greedy = h.submit("devour", "[100000]");
  h.until_finished(3);
  CHECK(h.outcome<Threw>(greedy).exception.type == "MemoryError");
  CHECK(h.call("pid") == pid);
}

TEST_CASE("a killed task's own children go with it") {
  PoolHarness h("prefork", one_slot());
  const JobId job = h.submit("hang");
  h.until([&] { return h.started.count(job) > 0; });
  CHECK(getpgid(h.started.at(job).pid) == h.started.at(job).pid);
  CHECK(h.pool->terminate(job, SIGKILL));
  h.until_finished(1);
  CHECK(h.outcome<Lost>(job).signal == SIGKILL);
}

TEST_CASE("slots that never come up are fatal, not a fork bomb") {
  setenv("SLOT_FAILS_TO_START", "1", 1);
  PoolHarness h("prefork", one_slot());
  unsetenv("SLOT_FAILS_TO_START");
  setenv("SLOT_FAILS_TO_START", "1", 1);
  h.submit("noop");
  h.until([&] { return !h.fatal.empty(); }, 30);
  unsetenv("SLOT_FAILS_TO_START");
  CHECK(h.fatal.find("Could not start worker processes") == 0);
  CHECK(h.pool->queued() == 1);
  bool stopped = false;
  h.pool->stop([&] { stopped = true; });
  h.until([&] { return stopped; });
}
