// Jobs per second through a pool: pool_bench <pool> <slots> <queued_per_slot> <jobs>
#include "tests/worker/pool_tasks.hpp"
#include "worker/pool.hpp"
#include "worker/pool/slot.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

using namespace celeriac;

int main(int argc, char** argv) {
  const App app = pool_test_app();
  if (const auto code = run_slot_if_asked(app, argc, argv)) return *code;
  if (argc != 5) return std::fprintf(stderr, "pool_bench <pool> <slots> <queued_per_slot> <jobs>\n"), 2;
  PoolOptions options;
  options.slots = static_cast<unsigned>(std::atoi(argv[2]));
  options.queued_per_slot = static_cast<unsigned>(std::atoi(argv[3]));
  options.accept = {"application/json"};
  const std::size_t jobs = static_cast<std::size_t>(std::atoll(argv[4]));
  boost::asio::io_context io;
  const auto work = boost::asio::make_work_guard(io);
  auto pool = make_pool(argv[1], io, app, options);
  if (!pool) return std::fprintf(stderr, "%s\n", pool.error().what.c_str()), 2;
  std::size_t submitted = 0, finished = 0;
  const Job job = test_job(0, "noop");
  // As the worker does: the pool has a bounded number of jobs, refilled when results come.
  const std::size_t window = options.slots * (1 + options.queued_per_slot) + 256;
  const auto refill = [&] {
    for (; submitted < jobs && submitted - finished < window; ++submitted) {
      Job next = job;
      next.id = submitted + 1;
      (*pool)->submit(std::move(next));
    }
  };
  Pool::Handlers handlers;
  handlers.on_started = [](std::vector<Started>&&) {};
  handlers.on_request = [](JobId, TaskRequest&&, const std::function<void(std::string)>&) {};
  handlers.on_finished = [&](std::vector<Finished>&& batch) {
    finished += batch.size();
    refill();
  };
  (*pool)->start(std::move(handlers));
  (*pool)->submit(job);
  while (finished == 0) io.run_one();
  finished = 0;
  const auto start = std::chrono::steady_clock::now();
  refill();
  while (finished < jobs) io.run_one();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("%s -c %u queued %u: %.0f jobs/s\n", argv[1], options.slots, options.queued_per_slot,
              static_cast<double>(jobs) / seconds);
  return 0;
}
