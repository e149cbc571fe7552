// Slots are coroutines on one thread of this process: hundreds of calls that wait for other
// services at once, each costing some kilobytes instead of a process or a thread.
//
// A coroutine that waits can be ended, so there are hard limits and terminate(); one that
// computes cannot, as in the threads pool, and holds up the others meanwhile. Tasks that are
// plain functions run on a few threads beside it and cannot be ended at all.
#pragma once

#include "worker/pool.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/thread_pool.hpp>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>

namespace celeriac {

class AsyncPool : public Pool {
 public:
  AsyncPool(boost::asio::io_context& io, const App& app, PoolOptions options);
  ~AsyncPool() override;  // cancels coroutines and waits for what cannot be cancelled

  void start(Handlers handlers) override;
  void submit(Job job) override;
  unsigned slots() const override { return target_; }
  unsigned busy() const override { return static_cast<unsigned>(running_.size()); }
  std::size_t queued() const override { return queue_.size(); }
  std::vector<JobId> drop_queued() override;
  bool terminate(JobId job, int) override;
  void grow(unsigned n) override;
  void shrink(unsigned n) override;
  void stop(std::function<void()> done) override;
  std::vector<int> pids() const override;
  std::string name() const override { return "async"; }

 private:
  struct Run;
  struct Reply {
    bool done = false;
    std::string error;
  };
  enum class Ending { none, terminated, hard_limit };

  // On the worker's loop.
  void start_next();
  void watch_limits(const std::shared_ptr<Run>& run);
  void end(const std::shared_ptr<Run>& run, Ending ending);
  void on_finished(Finished finished);
  template <class F>
  void tell(F&& what);  // from any thread

  std::string request(JobId job, TaskRequest request);

  boost::asio::io_context& io_;
  const App& app_;
  const PoolOptions options_;
  Handlers handlers_;
  unsigned target_;
  std::deque<Job> queue_;
  std::unordered_map<JobId, std::shared_ptr<Run>> running_;
  bool stopping_ = false;
  std::function<void()> stopped_;

  std::mutex replies_mutex_;
  std::condition_variable replied_;
  bool closed_ = false;

  std::shared_ptr<AsyncPool*> self_;  // null once the pool is gone; for what is still posted

  boost::asio::thread_pool functions_;
  boost::asio::io_context coroutines_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> open_;
  std::thread thread_;
};

}  // namespace celeriac
