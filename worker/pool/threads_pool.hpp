// Slots are threads of this process: for small, trusted tasks. A thread cannot be killed, so there is no
// hard limit and no terminate(); the soft limit is a flag the task sees at its checkpoints.
#pragma once

#include "worker/pool.hpp"

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace celeriac {

class ThreadsPool : public Pool {
 public:
  ThreadsPool(boost::asio::io_context& io, const App& app, PoolOptions options);
  ~ThreadsPool() override;  // waits for what is still running

  void start(Handlers handlers) override;
  void submit(Job job) override;
  unsigned slots() const override { return target_; }
  unsigned busy() const override { return static_cast<unsigned>(started_count_); }
  std::size_t queued() const override { return in_pool_ - started_count_; }
  std::vector<JobId> drop_queued() override;
  bool terminate(JobId, int) override { return false; }
  void grow(unsigned n) override;
  void shrink(unsigned n) override;
  void stop(std::function<void()> done) override;
  std::vector<int> pids() const override;
  std::string name() const override { return "threads"; }

 private:
  using Flag = std::shared_ptr<std::atomic<bool>>;  // the soft limit has passed; null: the job has none
  struct Item {
    Job job;
    Flag soft;
  };
  struct Reply {
    bool done = false;
    std::string error;
  };
  struct Ask {
    JobId job = 0;
    TaskRequest request;
    std::shared_ptr<Reply> reply;  // null: nobody waits
  };
  // What threads tell the loop; handed over as a whole.
  struct News {
    std::vector<Started> started;
    std::vector<Ask> asks;
    std::vector<Finished> finished;
    std::vector<bool> had_started;  // one for each of `finished`
    std::string fatal;
    bool thread_ended = false;
  };
  struct Deadline {
    JobId job = 0;
    double limit = 0;
    Flag flag;
  };
  class Port;

  void hand_over();
  void run_thread();
  bool next(Item& item);
  template <class F>
  void tell(F&& change);
  void take_news();
  void on_asks(std::vector<Ask>&& asks);
  void watch_limits();
  void check_stopped();

  boost::asio::io_context& io_;
  const App& app_;
  PoolOptions options_;
  Handlers handlers_;
  unsigned target_;

  // On the loop.
  std::vector<Item> staged_;  // submitted in this turn
  bool hand_over_posted_ = false, stopping_ = false;
  std::size_t in_pool_ = 0, started_count_ = 0;
  std::unordered_map<JobId, std::pair<double, Flag>> limited_;  // soft limits of jobs not yet finished
  std::multimap<std::chrono::steady_clock::time_point, Deadline> deadlines_;
  boost::asio::steady_timer limit_timer_;
  std::function<void()> stopped_;
  std::vector<std::thread> threads_;

  // Shared; the mutexes are never held together.
  std::mutex jobs_mutex_;
  std::condition_variable jobs_ready_;
  std::deque<Item> jobs_;
  unsigned idle_ = 0, surplus_ = 0;  // threads waiting; threads that shall end
  bool ending_ = false;
  std::mutex news_mutex_;
  std::condition_variable replied_;
  News news_;
  bool news_posted_ = false, closed_ = false;
  unsigned alive_ = 0;

  std::shared_ptr<ThreadsPool*> self_;  // null once the pool is gone; for what is still posted
};

}  // namespace celeriac
