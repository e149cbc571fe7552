// How many results a second one loop stores, with private servers: `backend_bench [count]`. PostgreSQL runs
// with its defaults (fsync and synchronous_commit on), next to a writer that commits each row by itself.
#include "queues/connect.hpp"
#include "tests/queues/loop.hpp"
#include "tests/queues/postgres_server.hpp"
#include "tests/queues/redis_server.hpp"

#include <libpq-fe.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace celeriac::testing {
namespace {

using Steady = std::chrono::steady_clock;

double seconds_since(Steady::time_point begin) {
  return std::chrono::duration<double>(Steady::now() - begin).count();
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

TaskResult result_number(const std::string& run, int i) {
  TaskResult result;
  result.task_id = run + "-0000-4000-8000-" + std::to_string(100000000000 + i);
  result.status = state::success;
  result.result = R"({"invoice": "2026-11-20/17", "total": 119.0, "lines": [1, 2, 3]})";
  result.date_done = 1795173993.8 + i;
  return result;
}

// Keeps `window` results under way, as a worker with that many slots and a late ack does.
void store(const std::string& url, const char* name, int count, int window) {
  boost::asio::io_context io;
  auto backend = std::move(*make_backend(io, Settings{}, url));
  bool up = false;
  backend->start([&](BrokerState state, std::string) { up = up || state == BrokerState::connected; });
  run_until(io, [&] { return up; });
  int sent = 0, done = 0, failed = 0;
  std::vector<double> waits;
  const std::string run = std::to_string(window) + name;
  const auto begin = Steady::now();
  const double cpu = cpu_seconds();
  while (done < count) {
    for (; sent < count && sent - done < window; ++sent)
      backend->store(result_number(run, sent), [&, at = Steady::now()](Status status) {
        ++done;
        failed += !status.ok();
        waits.push_back(seconds_since(at));
      });
    io.run_one();
  }
  const double elapsed = seconds_since(begin);
  std::sort(waits.begin(), waits.end());
  std::printf(
      "%-12s window %5d: %8.0f results/s, our CPU %5.2f us each, p50 %6.2f ms, p99 %6.2f ms, failed %d\n",
      name, window, count / elapsed, (cpu_seconds() - cpu) / count * 1e6, waits[waits.size() / 2] * 1e3,
      waits[waits.size() * 99 / 100] * 1e3, failed);
}

// The plain way: one prepared INSERT ... ON CONFLICT, one commit, one round trip for each result.
void row_by_row(const PostgresServer& server, int count) {
  const std::string target =
      "host=127.0.0.1 user=postgres dbname=postgres port=" + std::to_string(server.port());
  PGconn* connection = PQconnectdb(target.c_str());
  PQclear(
      PQprepare(connection, "one",
                "INSERT INTO celery_taskmeta (id, task_id, status, result, date_done) VALUES "
                "(nextval('task_id_sequence'), $1, 'SUCCESS', $2, now()) ON CONFLICT (task_id) DO UPDATE SET "
                "status = EXCLUDED.status, result = EXCLUDED.result, date_done = EXCLUDED.date_done",
                2, nullptr));
  const auto begin = Steady::now();
  for (int i = 0; i < count; ++i) {
    const auto result = result_number("single", i);
    const char* values[] = {result.task_id.c_str(), result.result.c_str()};
    PQclear(PQexecPrepared(connection, "one", 2, values, nullptr, nullptr, 0));
  }
  std::printf("%-12s one row a commit: %6.0f results/s\n", "postgresql", count / seconds_since(begin));
  PQfinish(connection);
}

}  // namespace
}  // namespace celeriac::testing

int main(int argc, char** argv) {
  using namespace celeriac::testing;
  const int count = argc > 1 ? std::atoi(argv[1]) : 100000;
  {
    PostgresServer postgres;
    for (int window : {1, 16, 100, 1000, 4000})
      store(postgres.url(), "postgresql", window == 1 ? count / 50 : count, window);
    row_by_row(postgres, count / 20);
  }
  RedisServer redis;
  for (int window : {1, 16, 64, 1000}) {
    const double before =
        std::atof(redis
                      .one({"EVAL",
                            "return string.match(redis.call('INFO', 'cpu'), 'used_cpu_user:([%d.]+)')", "0"})
                      .c_str()) +
        std::atof(
            redis
                .one({"EVAL", "return string.match(redis.call('INFO', 'cpu'), 'used_cpu_sys:([%d.]+)')", "0"})
                .c_str());
    const int n = window == 1 ? count / 10 : count;
    store(redis.url(), "redis", n, window);
    const double after =
        std::atof(redis
                      .one({"EVAL",
                            "return string.match(redis.call('INFO', 'cpu'), 'used_cpu_user:([%d.]+)')", "0"})
                      .c_str()) +
        std::atof(
            redis
                .one({"EVAL", "return string.match(redis.call('INFO', 'cpu'), 'used_cpu_sys:([%d.]+)')", "0"})
                .c_str());
    std::printf("             server CPU %.2f us each\n", (after - before) / n * 1e6);
  }
}
