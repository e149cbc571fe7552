// A Pool runs jobs in slots: child processes (prefork), threads, the loop itself (solo), or coroutines on
// a thread of their own (async).
//
// Everything here is called on, and calls back on, the worker's loop. Events are handed
// over in batches; within one job the order is started, requests, finished.
// Implementations: worker/pool/{prefork,threads,solo,async}_pool. Each passes
// tests/worker/pool_conformance.hpp.
#pragma once

#include "worker/job.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

namespace celeriac {

class App;

struct PoolOptions {
  unsigned slots = 2;
  unsigned max_tasks_per_slot = 0;        // 0: never recycle (threads and solo ignore it)
  std::uint64_t max_memory_per_slot = 0;  // bytes of RSS, checked after a task; 0: no limit
  std::uint64_t memory_limit = 0;         // bytes, enforced during a task; 0: no limit
  double alive_timeout = 4;               // seconds for a slot to report that it is up
  int stdout_level = 0;                   // prefork: what tasks print is logged at this level; 0: it is not
  unsigned queued_per_slot = 0;           // jobs that may wait inside a busy slot: 0 = fair
  std::vector<std::string> accept;        // content types a body may have
  std::string log_level = "warning";
};

class Pool {
 public:
  struct Handlers {
    // The slot has read the body and is about to run it. An Undecodable job reports no start, so
    // its message is not acknowledged yet and can still be buried with its exact bytes.
    std::function<void(std::vector<Started>&&)> on_started;
    // `reply` answers what is_call(): a SendRequest when the broker has taken the message.
    std::function<void(JobId, TaskRequest&&, std::function<void(std::string error)> reply)> on_request;
    std::function<void(std::vector<Finished>&&)> on_finished;
    std::function<void(std::string)> on_fatal;  // no slot can be started
    // recall() was in time: these jobs do not start.
    std::function<void(std::vector<JobId>)> on_recalled;
    // The soft limit of a job has passed and the slot was told.
    std::function<void(JobId, double limit)> on_soft_timeout;
  };

  virtual ~Pool() = default;  // kills what is still running
  virtual void start(Handlers handlers) = 0;

  // Takes the job now; it starts when a slot is free. Call only while free() > 0 for a job
  // that must start at once; more are queued here in order.
  virtual void submit(Job job) = 0;
  virtual unsigned slots() const = 0;
  virtual unsigned busy() const = 0;       // slots running a job
  virtual std::size_t queued() const = 0;  // submitted, not started

  // Takes back jobs that no slot has started, newest last (warm shutdown gives them back).
  virtual std::vector<JobId> drop_queued() = 0;

  // Asks for a job back that a slot holds and may not have started: on_recalled answers if it had not,
  // nothing if it had. Jobs that no slot holds come from drop_queued().
  virtual void recall(JobId job) { (void)job; }

  // Kills the slot running this job (prefork), or does nothing and says so with false.
  virtual bool terminate(JobId job, int signal) = 0;

  virtual void grow(unsigned n) = 0;
  virtual void shrink(unsigned n) = 0;  // idle slots first
  virtual void set_limits(JobId, double soft, double hard) { (void)soft, (void)hard; }

  // Ends idle slots, kills busy ones; every running job finishes as Lost{terminated}.
  virtual void stop(std::function<void()> done) = 0;

  // Facts for `inspect stats`.
  virtual std::vector<int> pids() const = 0;
  virtual std::string name() const = 0;  // "prefork", "threads", "solo", "async"
};

// Unknown names are an Error listing the known ones.
Expected<std::unique_ptr<Pool>> make_pool(const std::string& name, boost::asio::io_context& io,
                                          const App& app, PoolOptions options);

}  // namespace celeriac
