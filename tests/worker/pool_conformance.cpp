#include "tests/worker/pool_conformance.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <chrono>
#include <set>

namespace celeriac {

PoolHarness::PoolHarness(const std::string& name, PoolOptions options) {
  if (options.accept.empty()) options.accept = {"application/json"};
  auto made = make_pool(name, io, app, std::move(options));
  REQUIRE(made);
  pool = std::move(*made);
  Pool::Handlers handlers;
  handlers.on_started = [this](std::vector<Started>&& batch) {
    for (Started& one : batch) {
      order.push_back("start " + std::to_string(one.job));
      started[one.job] = one;
      if (on_start) on_start(one.job);
    }
  };
  handlers.on_request = [this](JobId job, TaskRequest&& request, std::function<void(std::string)> reply) {
    order.push_back("ask " + std::to_string(job));
    const bool waits = is_call(request);
    requests.emplace_back(job, std::move(request));
    // As a broker does: later.
    if (waits) boost::asio::post(io, [this, reply = std::move(reply)] { reply(send_answer); });
  };
  handlers.on_finished = [this](std::vector<Finished>&& batch) {
    for (Finished& one : batch) {
      order.push_back("end " + std::to_string(one.job));
      CHECK_MESSAGE(finished.count(one.job) == 0, "job finished twice: " << one.job);
      finished[one.job] = std::move(one);
    }
  };
  handlers.on_fatal = [this](const std::string& what) { fatal = what; };
  handlers.on_soft_timeout = [this](JobId job, double) { soft_timeouts.push_back(job); };
  handlers.on_recalled = [this](const std::vector<JobId>& jobs) {
    recalled.insert(recalled.end(), jobs.begin(), jobs.end());
  };
  pool->start(std::move(handlers));
}

PoolHarness::~PoolHarness() { pool.reset(); }

void PoolHarness::until(const std::function<bool()>& done, double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!done()) {
    io.run_one_for(std::chrono::milliseconds(50));
    REQUIRE_MESSAGE(std::chrono::steady_clock::now() < end, "the pool did not get there in time");
  }
}

void PoolHarness::until_finished(std::size_t count, double seconds) {
  until([&] { return finished.size() >= count; }, seconds);
}

JobId PoolHarness::submit(const std::string& task, const std::string& args) {
  return submit(test_job(0, task, args));
}

JobId PoolHarness::submit(Job job) {
  const JobId id = ++last_;
  job.id = id;
  pool->submit(std::move(job));
  return id;
}

std::string PoolHarness::result(JobId job) const {
  const auto found = finished.find(job);
  if (found == finished.end()) return "not finished";
  if (const auto* value = std::get_if<Returned>(&found->second.outcome)) return value->result;
  return "outcome " + std::to_string(found->second.outcome.index());
}

std::string PoolHarness::call(const std::string& task, const std::string& args) {
  const JobId job = submit(task, args);
  until([&] { return finished.count(job) > 0; });
  return result(job);
}

namespace {

PoolOptions two_slots() {
  PoolOptions options;
  options.slots = 2;
  return options;
}

void values_and_failures(const PoolTraits& traits) {
  PoolHarness h(traits.name, two_slots());
  CHECK(h.pool->name() == traits.name);
  CHECK(h.pool->slots() == (traits.many_slots ? 2 : 1));
  CHECK(h.call("echo", "[[1, 2.50, \"x\"]]") == "[1, 2.5, \"x\"]");
  const JobId failing = h.submit("fail", "[\"boom\"]");
  const JobId unknown = h.submit("nobody");
  Job broken = test_job(0, "noop");
  auto message = std::make_shared<Message>(*broken.message);
  message->body = "[[1,";
  broken.message = message;
  const JobId unreadable = h.submit(std::move(broken));
  h.until_finished(4);
  CHECK(h.outcome<Threw>(failing).exception.repr() == "ValueError('boom')");
  CHECK(h.outcome<Threw>(unknown).exception.type == "NotRegistered");
  CHECK_FALSE(h.outcome<Undecodable>(unreadable).why.cause.empty());
  CHECK(h.started.count(unreadable) == 0);
  CHECK(h.started.count(failing) == 1);
  CHECK(h.pool->busy() == 0);
  CHECK(h.pool->queued() == 0);
  REQUIRE_FALSE(h.pool->pids().empty());
}

void order_and_requests(const PoolTraits& traits) {
  PoolHarness h(traits.name, two_slots());
  const JobId job = h.submit("send", "[\"other\"]");
  h.until_finished(1);
  const std::vector<std::string> expected = {"start 1", "ask 1", "ask 1", "end 1"};
  CHECK(h.order == expected);
  REQUIRE(h.requests.size() == 2);
  CHECK(std::get<StateRequest>(h.requests[0].second).state == "PROGRESS");
  const auto& sent = std::get<SendRequest>(h.requests[1].second);
  CHECK(h.result(job) == "\"" + sent.task_id + "\"");
  CHECK(h.outcome<Returned>(job).children == "[[[\"" + sent.task_id + "\", null], null]]");
  h.send_answer = "broker away";
  const JobId refused = h.submit("send", "[\"other\"]");
  h.until_finished(2);
  CHECK(h.outcome<Threw>(refused).exception.type == "OperationalError");
}

void ten_thousand(const PoolTraits& traits, unsigned queued_per_slot) {
  PoolOptions options = two_slots();
  options.queued_per_slot = queued_per_slot;
  PoolHarness h(traits.name, options);
  constexpr JobId count = 10000;
  for (JobId i = 1; i <= count; ++i) {
    if (i % 100 == 0) {
      h.submit("fail", "[\"boom\"]");
    } else if (i % 10 == 0) {
      h.submit("echo", "[\"" + std::string(i % 3000, 'x') + "\"]");
    } else {
      h.submit("echo", "[" + std::to_string(i) + "]");
    }
  }
  h.until_finished(count, 120);
  for (JobId i = 1; i <= count; ++i) {
    if (i % 10 == 0) continue;
    REQUIRE(h.result(i) == std::to_string(i));
  }
  CHECK(h.started.size() == count);
}

void soft_limit(const PoolTraits& traits) {
  PoolHarness h(traits.name, two_slots());
  Job job = test_job(0, "await_soft_limit", traits.soft_limit ? "[10]" : "[0.3]");
  job.soft_limit = 0.1;
  const JobId limited = h.submit(std::move(job));
  const JobId free = h.submit("await_soft_limit", "[0.3]");
  h.until_finished(2);
  CHECK(h.result(limited) == (traits.soft_limit ? "\"caught\"" : "\"not told\""));
  CHECK(h.soft_timeouts == (traits.soft_limit ? std::vector<JobId>{limited} : std::vector<JobId>{}));
  CHECK(h.result(free) == "\"not told\"");
}

void hard_limit_and_terminate(const PoolTraits& traits) {
  PoolHarness h(traits.name, two_slots());
  if (!traits.kills) {
    Job job = test_job(0, "nap", "[0.3]");
    job.hard_limit = 0.1;
    const JobId napping = h.submit(std::move(job));
    h.until_finished(1);
    CHECK(h.result(napping) == "null");
    CHECK_FALSE(h.pool->terminate(napping, SIGTERM));
    return;
  }
  Job job = test_job(0, "hang");
  job.hard_limit = 0.2;
  const JobId hanging = h.submit(std::move(job));
  const JobId doomed = h.submit("hang");
  h.until([&] { return h.started.count(doomed) > 0; });
  CHECK(h.pool->terminate(doomed, SIGTERM));
  h.until_finished(2);
  CHECK(h.outcome<HardTimeout>(hanging).limit == 0.2);
  CHECK(h.outcome<Lost>(doomed).terminated);
  CHECK_FALSE(h.pool->terminate(doomed, SIGTERM));
  CHECK(h.call("echo", "[1]") == "1");
}

void drop_queued(const PoolTraits& traits) {
  PoolHarness h(traits.name, two_slots());
  const std::size_t slots = h.pool->slots();
  std::vector<JobId> all;
  for (int i = 0; i < 6; ++i) all.push_back(h.submit("nap", "[0.3]"));
  std::vector<JobId> dropped;
  h.on_start = [&](JobId) {
    if (h.started.size() == slots) dropped = h.pool->drop_queued();
  };
  h.until_finished(slots);
  // What had started ends; the rest comes back in order and never runs.
  CHECK(dropped == std::vector<JobId>(all.begin() + static_cast<std::ptrdiff_t>(slots), all.end()));
  CHECK(h.pool->queued() == 0);
  CHECK(h.call("echo", "[1]") == "1");
  CHECK(h.finished.size() == slots + 1);
}

void grow_and_shrink(const PoolTraits& traits) {
  PoolHarness h(traits.name, two_slots());
  if (!traits.many_slots) {
    h.pool->grow(2);
    CHECK(h.pool->slots() == 1);
    return;
  }
  h.pool->grow(2);
  CHECK(h.pool->slots() == 4);
  for (int i = 0; i < 4; ++i) h.submit("nap", "[0.5]");
  h.until([&] { return h.pool->busy() == 4; });
  h.pool->shrink(3);
  CHECK(h.pool->slots() == 1);
  h.until_finished(4);
  for (const auto& [job, finished] : h.finished) CHECK(std::holds_alternative<Returned>(finished.outcome));
  for (int i = 0; i < 3; ++i) h.submit("nap", "[0.05]");
  unsigned most = 0;
  h.on_start = [&](JobId) { most = std::max(most, h.pool->busy()); };
  h.until_finished(7);
  CHECK(most == 1);
  h.pool->shrink(5);
  CHECK(h.pool->slots() == 1);
  CHECK(h.call("echo", "[1]") == "1");
}

void stop(const PoolTraits& traits) {
  PoolHarness h(traits.name, two_slots());
  const std::size_t slots = h.pool->slots();
  for (std::size_t i = 0; i < slots + 2; ++i) h.submit("nap", traits.kills ? "[60]" : "[0.3]");
  bool stopped = false;
  if (traits.kills) {
    h.until([&] { return h.started.size() == slots; });
    h.pool->stop([&] { stopped = true; });
  } else {
    h.on_start = [&](JobId) {
      if (h.started.size() == slots) h.pool->stop([&] { stopped = true; });
    };
  }
  h.until([&] { return stopped; });
  CHECK(h.finished.size() == slots);
  for (const auto& [job, finished] : h.finished) {
    if (traits.kills) {
      CHECK(std::get<Lost>(finished.outcome).terminated);
    } else {
      CHECK(std::holds_alternative<Returned>(finished.outcome));
    }
  }
  CHECK(h.pool->drop_queued().size() == 2);
}

void destroyed_at_work(const PoolTraits& traits) {
  PoolHarness h(traits.name, two_slots());
  if (!traits.many_slots) return h.pool.reset();  // its task would be below us on the stack
  h.submit("nap", traits.kills ? "[60]" : "[0.2]");
  h.until([&] { return h.started.size() == 1; });
  h.pool.reset();
  h.io.poll();
  CHECK(h.finished.empty());
}

}  // namespace

void check_pool_conformance(const PoolTraits& traits) {
  SUBCASE("values, failures, bodies that cannot be read") { values_and_failures(traits); }
  SUBCASE("a job starts, asks and ends in this order") { order_and_requests(traits); }
  SUBCASE("ten thousand jobs, one at a time") { ten_thousand(traits, 0); }
  SUBCASE("ten thousand jobs, queued in the slots") { ten_thousand(traits, 32); }
  SUBCASE("soft limit") { soft_limit(traits); }
  SUBCASE("hard limit and terminate") { hard_limit_and_terminate(traits); }
  SUBCASE("jobs that have not started can be taken back") { drop_queued(traits); }
  SUBCASE("grow and shrink") { grow_and_shrink(traits); }
  SUBCASE("stop with running jobs") { stop(traits); }
  SUBCASE("destroyed while a job runs") { destroyed_at_work(traits); }
}

}  // namespace celeriac
