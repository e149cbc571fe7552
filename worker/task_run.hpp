// One run of one task's function: its arguments, its Context, and how what it returned or threw
// becomes an Outcome. run_task() runs a function to its end; the async pool, which waits in
// between, uses this directly.
#pragma once

#include "protocol/body.hpp"
#include "worker/context.hpp"
#include "worker/run_task.hpp"

#include <atomic>
#include <exception>

namespace celeriac {

// The message names a task this worker does not have.
Threw not_registered(const std::string& task);

// References outlive the run; the Context stays where it is, so a run is not movable.
class TaskRun {
 public:
  TaskRun(const RunEnvironment& environment, const Job& job, const App::Task& task, Body body,
          const std::atomic<bool>& soft_limit_hit);
  TaskRun(const TaskRun&) = delete;
  TaskRun& operator=(const TaskRun&) = delete;

  Outcome run();  // calls the function; throws only std::bad_alloc

  Context& context() { return context_; }
  const Body& body() const { return body_; }
  Outcome returned(const Json& result);
  Outcome threw(const std::exception_ptr& thrown);

 private:
  Outcome failed(const ExceptionInfo& info);
  Threw failure(const ExceptionInfo& info);
  Outcome asked_retry(const Retry& retry);

  const Job& job_;
  const App::Task& task_;
  const Body body_;
  Context context_;
};

}  // namespace celeriac
