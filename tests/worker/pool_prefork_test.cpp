// The prefork pool at ordinary work. This executable is also its own slot.
#define DOCTEST_CONFIG_IMPLEMENT
#include "tests/worker/pool_conformance.hpp"
#include "worker/pool/slot.hpp"
#include "worker/pool/spawn.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <set>

using namespace celeriac;

int main(int argc, char** argv) {
  App app = pool_test_app();
  if (std::getenv("SLOT_FAILS_TO_START")) app.on_slot_start([] { throw std::runtime_error("no engine"); });
  if (const auto code = run_slot_if_asked(app, argc, argv)) return *code;
  return doctest::Context(argc, argv).run();
}

namespace {

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator entries("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

bool has_children() { return waitid(P_ALL, 0, nullptr, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD; }

}  // namespace

TEST_CASE("the prefork pool is a pool") {
  PoolTraits traits;
  traits.name = "prefork";
  traits.kills = true;
  check_pool_conformance(traits);
}

TEST_CASE("a pool leaves no descriptor and no process behind") {
  {
    PoolHarness h("prefork");
    h.call("noop");
  }
  const std::size_t before = open_descriptors();
  for (int round = 0; round < 3; ++round) {
    PoolHarness h("prefork");
    h.call("noop");
    h.call("segfault");
    bool stopped = false;
    h.pool->stop([&] { stopped = true; });
    h.until([&] { return stopped; });
  }
  CHECK(open_descriptors() == before);
  CHECK_FALSE(has_children());
}

TEST_CASE("a slot has the socket and the standard streams, nothing else") {
  const int stray = dup(0);  // without FD_CLOEXEC, as libraries open them
  PoolHarness h("prefork");
  const auto open = parse_json(h.call("open_descriptors"));
  REQUIRE(open);
  // Its own listing of /proc/self/fd is the fifth.
  const std::set<std::string> names(open->begin(), open->end());
  CHECK(names.size() == 5);
  for (const char* name : {"0", "1", "2", "3"}) CHECK(names.count(name) == 1);
  close(stray);
}

TEST_CASE("credentials do not reach slots, other settings do") {
  setenv("CELERY_BROKER_URL", "redis://:secret@host/0", 1);
  setenv("CELERY_RESULT_BACKEND", "db+postgresql://u:secret@host/db", 1);
  setenv("CONFORMANCE_BROKER", "redis://:secret@host/0", 1);
  setenv("SHOP_CURRENCY", "EUR", 1);
  PoolHarness h("prefork");
  for (const char* name : {"CELERY_BROKER_URL", "CELERY_RESULT_BACKEND", "CONFORMANCE_BROKER"}) {
    CHECK(h.call("environment", std::string("[\"") + name + "\"]") == "null");
    unsetenv(name);
  }
  CHECK(h.call("environment", "[\"SHOP_CURRENCY\"]") == "\"EUR\"");
  CHECK(h.call("environment", "[\"OMP_THREAD_LIMIT\"]") == "\"1\"");
  CHECK_FALSE(withheld_from_slots("CELERY_TIMEZONE"));
  CHECK_FALSE(withheld_from_slots("CELERIAC_DATABASE_URL"));
}

TEST_CASE("a slot is replaced after its share of tasks, and no job is lost") {
  PoolOptions options;
  options.slots = 2;
  options.max_tasks_per_slot = 7;
  SUBCASE("one at a time") {}
  SUBCASE("with jobs waiting in the slot") { options.queued_per_slot = 16; }
  PoolHarness h("prefork", options);
  for (int i = 0; i < 100; ++i) h.submit("pid");
  h.until_finished(100);
  std::map<std::string, int> tasks;
  for (const auto& [job, finished] : h.finished) ++tasks[h.result(job)];
  for (const auto& [pid, count] : tasks) CHECK(count <= 7);
  CHECK(tasks.size() >= 15);
}

TEST_CASE("a slot that has grown too big is replaced after the task") {
  PoolOptions options;
  options.slots = 1;
  options.max_memory_per_slot = 400u << 20;
  PoolHarness h("prefork", options);
  const std::string first = h.call("pid");
  CHECK(h.call("pid") == first);
  options.max_memory_per_slot = 1u << 20;  // it is bigger from the start
  PoolHarness small("prefork", options);
  const std::string one = small.call("pid");
  CHECK(small.call("pid") != one);
}

TEST_CASE("time, processor and memory of a run are told") {
  PoolHarness h("prefork");
  const JobId napping = h.submit("nap", "[0.2]");
  const JobId big = h.submit("devour", "[150]");
  h.until_finished(2);
  const JobId small = h.submit("noop");
  h.until_finished(3);
  CHECK(h.finished.at(napping).usage.wall >= 0.2);
  CHECK(h.finished.at(napping).usage.cpu < 0.15);
  if (h.finished.at(big).usage.peak_rss > 0) {
    CHECK(h.finished.at(big).usage.peak_rss > (150u << 20));
    CHECK(h.finished.at(small).usage.peak_rss > 0);
  }
}

TEST_CASE("a job that waits inside a busy slot can be called back, and then never runs") {
  PoolOptions options;
  options.slots = 1;
  options.queued_per_slot = 8;
  PoolHarness h("prefork", options);
  for (int i = 0; i < 20; ++i) h.call("noop");  // quick work: from now on jobs wait inside the slot
  const JobId running = h.submit("nap", "[0.5]");
  h.until([&] { return h.started.count(running) > 0; });
  const JobId first = h.submit("noop"), second = h.submit("noop"), third = h.submit("noop");
  h.io.restart();
  h.io.poll();
  REQUIRE(h.pool->drop_queued().empty());  // all three are in the slot
  h.pool->recall(second);
  h.pool->recall(running);  // it has started: nothing happens
  h.until([&] { return h.finished.count(first) + h.finished.count(third) + h.finished.count(running) == 3; });
  CHECK(h.recalled == std::vector<JobId>{second});
  CHECK(h.started.count(second) == 0);
  h.pool->recall(second);  // it is not here any more
  CHECK(h.call("noop") == "null");
}

TEST_CASE("a job that was called back from a slot that dies does not run elsewhere") {
  PoolOptions options;
  options.slots = 1;
  options.queued_per_slot = 8;
  PoolHarness h("prefork", options);
  for (int i = 0; i < 20; ++i) h.call("noop");
  const JobId running = h.submit("nap", "[30]");
  h.until([&] { return h.started.count(running) > 0; });
  const JobId dead = h.submit("noop"), alive = h.submit("noop");
  h.io.restart();
  h.io.poll();
  h.pool->recall(dead);
  CHECK(h.pool->terminate(running, SIGKILL));
  h.until([&] { return h.finished.count(alive) > 0; });
  CHECK(h.recalled == std::vector<JobId>{dead});
  CHECK(h.started.count(dead) == 0);
}

TEST_CASE("what a task prints becomes lines of its own log") {
  PoolOptions options;
  options.slots = 1;
  options.stdout_level = 3;
  PoolHarness h("prefork", options);
  const JobId job = h.submit("print");
  h.until([&] { return h.finished.count(job) > 0; });
  std::vector<std::string> lines;
  for (const auto& [from, request] : h.requests) {
    const auto* line = std::get_if<LogRequest>(&request);
    REQUIRE(line);
    CHECK(from == job);
    CHECK(line->level == 3);
    lines.push_back(line->text);
  }
  REQUIRE(lines.size() == 7);
  CHECK(std::vector<std::string>(lines.begin(), lines.begin() + 4) ==
        std::vector<std::string>{"by printf 1", "by cout 2", "by cerr", "from a thread"});
  CHECK(lines[4] == std::string(8192, 'x'));
  CHECK(lines[5] == std::string(1808, 'x'));
  CHECK(lines[6] == "without an end");
  // More than any pipe holds: nothing blocks.
  h.requests.clear();
  const JobId many = h.submit("print_many", "[20000]");
  h.until([&] { return h.finished.count(many) > 0; });
  CHECK(h.requests.size() == 20000);
}
