// The benchmark's tasks: the smallest things a worker can be asked to do.
#include "conformance/numbers.hpp"
#include "conformance/tasks.hpp"

#include <chrono>

namespace conformance {
namespace {

using celeriac::Context;
using celeriac::Json;

Json add(Context&, Json x, Json y) { return python_add(x, y); }

Json xsum(Context&, std::vector<Json> values) {
  Json sum = 0;
  for (const Json& value : values) sum = python_add(sum, value);
  return sum;
}

// Burns CPU time: what a real task does, without its dependencies.
double spin(Context&, double milliseconds) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double, std::milli>(milliseconds);
  while (Clock::now() < end) {
  }
  return milliseconds;
}

// Sends `count` chains of three to a queue; the seconds that it took.
double send_chains(Context& context, std::int64_t count, std::string queue) {
  using celeriac::Signature;
  const auto step = [&](std::vector<Json> args) {
    return Signature("bench.add", std::move(args)).set("queue", queue);
  };
  const auto begin = std::chrono::steady_clock::now();
  for (std::int64_t i = 0; i < count; ++i)
    context.apply(celeriac::chain({step({i, 1}), step({2}), step({3})}));
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

void add_bench_tasks(celeriac::App& app) {
  app.raw_task("bench.noop", [](Context&, const Json&, const Json&) -> Json { return nullptr; });
  app.task("bench.add", add, {.params = {"x", "y"}});
  app.task("bench.xsum", xsum, {.params = {"values"}});
  app.task("bench.send_chains", send_chains, {.params = {"count", "queue"}});
  app.task("bench.spin", spin, {.params = {"ms"}});
}

}  // namespace conformance
