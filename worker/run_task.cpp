#include "worker/run_task.hpp"

#include "protocol/body.hpp"
#include "protocol/repr.hpp"
#include "worker/task_run.hpp"

#include <sys/resource.h>

#include <chrono>
#include <new>
#include <utility>

namespace celeriac {
namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

double cpu_seconds(bool whole_process) {
  rusage usage{};
  getrusage(whole_process ? RUSAGE_SELF : RUSAGE_THREAD, &usage);
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

Outcome run_decoded(const RunEnvironment& environment, const Job& job, Body body,
                    const std::atomic<bool>& soft_limit_hit) {
  const App::Task* task = environment.app.find(job.headers->task);
  if (!task) {
    return not_registered(job.headers->task);
  }
  try {
    return TaskRun(environment, job, *task, std::move(body), soft_limit_hit).run();
  } catch (const std::bad_alloc&) {
    Threw out;
    out.exception = {"MemoryError", "builtins", "[]"};
    return out;
  }
}

}  // namespace

Finished run_task(const RunEnvironment& environment, const Job& job, const std::atomic<bool>& soft_limit_hit,
                  const std::function<void()>& on_start) {
  Finished finished;
  finished.job = job.id;
  auto body = read_body(*job.message, *job.headers, environment.accept);
  if (!body) {
    finished.outcome = Undecodable{std::move(body.error())};
    return finished;
  }
  if (job.headers->argsrepr.empty()) finished.args_repr = python_args_repr(body->args);
  if (job.headers->kwargsrepr.empty()) finished.kwargs_repr = python_repr(body->kwargs);
  on_start();
  const auto start = std::chrono::steady_clock::now();
  const double cpu = cpu_seconds(environment.whole_process);
  finished.outcome = run_decoded(environment, job, std::move(*body), soft_limit_hit);
  finished.usage.wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  finished.usage.cpu = cpu_seconds(environment.whole_process) - cpu;
  return finished;
}

}  // namespace celeriac
