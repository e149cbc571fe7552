// Slots are child processes: this executable, started again (worker/pool/slot.hpp). Whatever a task does to
// its process (crash, hang, devour memory), the pool replaces the slot and says what became of the job.
#pragma once

#include "worker/pool.hpp"
#include "worker/pool/memory.hpp"
#include "worker/pool/slot_line.hpp"

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace celeriac {

class PreforkPool : public Pool {
 public:
  PreforkPool(boost::asio::io_context& io, PoolOptions options);
  ~PreforkPool() override;

  void start(Handlers handlers) override;
  void submit(Job job) override;
  unsigned slots() const override { return target_; }
  unsigned busy() const override;
  std::size_t queued() const override;
  std::vector<JobId> drop_queued() override;
  void recall(JobId job) override;
  bool terminate(JobId job, int signal) override;
  void grow(unsigned n) override;
  void shrink(unsigned n) override;
  void set_limits(JobId job, double soft, double hard) override;
  void stop(std::function<void()> done) override;
  std::vector<int> pids() const override;
  std::string name() const override { return "prefork"; }

 private:
  using Clock = std::chrono::steady_clock;

  struct Pending {
    Job job;
    unsigned deaths = 0;    // slots that died while they held it, before it started
    bool recalled = false;  // its slot was asked not to start it
  };
  struct Running {
    Job job;
    Clock::time_point since;
    double started_at = 0;
    bool soft_told = false;
    std::optional<Outcome> verdict;  // why we kill the slot
  };
  struct Slot {
    std::shared_ptr<SlotLine> line;
    boost::asio::steady_timer timer;  // of the phase: until ready, until a limit, until it is gone
    bool ready = false;
    bool leaving = false;  // gets no more jobs
    bool dying = false;    // killed by us
    bool worked = false;   // has started a job
    std::uint64_t finished = 0;
    std::deque<Pending> assigned;  // written to it, not started
    std::optional<Running> running;

    explicit Slot(boost::asio::io_context& io) : timer(io) {}
    std::size_t load() const { return assigned.size() + (running ? 1 : 0); }
  };
  using SlotPtr = std::shared_ptr<Slot>;

  void spawn();
  void spawn_missing();
  void failed_to_start(const std::string& why);
  void take(const SlotPtr& slot, std::vector<ipc::Frame>&& frames);
  bool take(const SlotPtr& slot, ipc::Frame&& frame);
  bool on_start(const SlotPtr& slot, Started& started);
  bool on_finish(const SlotPtr& slot, Finished&& finished);
  bool on_asked(const SlotPtr& slot, ipc::Asked&& asked);
  bool on_recalled(const SlotPtr& slot, JobId job);
  void on_exit(const SlotPtr& slot, ExitStatus status);
  void conclude_running(Slot& slot, ExitStatus status);
  void take_back(Slot& slot, bool suspicious);
  void log_exit(const Slot& slot, ExitStatus status) const;

  void arm_limits(const SlotPtr& slot);
  void on_limit(const SlotPtr& slot);
  void kill(const SlotPtr& slot, int signal);
  void let_go(const SlotPtr& slot);

  void schedule_dispatch();
  void dispatch();
  Slot* least_loaded();
  void note_duration(double seconds);
  void deliver();
  void check_stopped();

  boost::asio::io_context& io_;
  PoolOptions options_;
  Handlers handlers_;
  unsigned target_;
  std::vector<SlotPtr> slots_;
  std::deque<Pending> queue_;
  std::vector<Started> started_;  // to be handed over at the end of this turn
  std::vector<Finished> finished_;
  std::vector<JobId> recalled_;
  boost::asio::steady_timer respawn_;
  unsigned failures_ = 0;  // slots that died one after the other without ever starting a job
  double mean_seconds_ = -1;
  bool dispatch_posted_ = false, stopping_ = false, fatal_ = false;
  std::function<void()> stopped_;
  OomWatch oom_;
  std::shared_ptr<PreforkPool*> self_;  // null once the pool is gone; for what is still posted
};

}  // namespace celeriac
