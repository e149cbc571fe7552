// One slot: the loop itself. While a task runs nothing else does, so no limit can strike and no control
// command is answered; only a task that waits for Context::send lets the loop go on.
#pragma once

#include "worker/context.hpp"
#include "worker/pool.hpp"

#include <atomic>
#include <deque>
#include <memory>

namespace celeriac {

class SoloPool : public Pool, private TaskPort {
 public:
  SoloPool(boost::asio::io_context& io, const App& app, PoolOptions options);
  ~SoloPool() override;

  void start(Handlers handlers) override;
  void submit(Job job) override;
  unsigned slots() const override { return 1; }
  unsigned busy() const override { return running_ != 0 ? 1 : 0; }
  std::size_t queued() const override { return queue_.size(); }
  std::vector<JobId> drop_queued() override;
  bool terminate(JobId, int) override { return false; }
  void grow(unsigned) override {}
  void shrink(unsigned) override {}
  void stop(std::function<void()> done) override;
  std::vector<int> pids() const override;
  std::string name() const override { return "solo"; }

 private:
  std::string request(TaskRequest request) override;
  void schedule();
  void run_next();

  boost::asio::io_context& io_;
  const App& app_;
  PoolOptions options_;
  Handlers handlers_;
  std::deque<Job> queue_;
  JobId running_ = 0;
  bool scheduled_ = false, stopping_ = false;
  std::function<void()> stopped_;
  std::shared_ptr<SoloPool*> self_;  // null once the pool is gone; for what is still posted
};

}  // namespace celeriac
