#include "worker/pool/prefork_pool.hpp"

#include "worker/logging.hpp"

#include <signal.h>
#include <string.h>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <csignal>
#include <iterator>
#include <utility>

namespace celeriac {
namespace {

using boost::system::error_code;
using std::chrono::duration;
using std::chrono::duration_cast;

constexpr std::chrono::milliseconds grace{100};  // between a signal and SIGKILL, as in Celery
constexpr std::chrono::seconds leave_patience{2};
constexpr unsigned deaths_allowed = 3;  // slots one job may take down before it starts
// A job is given to a busy slot only while jobs are over so soon that it cannot wait long there.
constexpr double quick_seconds = 0.005;

std::chrono::steady_clock::duration seconds(double value) {
  return duration_cast<std::chrono::steady_clock::duration>(duration<double>(std::min(value, 1e9)));
}

}  // namespace

PreforkPool::PreforkPool(boost::asio::io_context& io, PoolOptions options)
    : io_(io),
      options_(std::move(options)),
      target_(std::max(1u, options_.slots)),
      respawn_(io),
      self_(std::make_shared<PreforkPool*>(this)) {}

PreforkPool::~PreforkPool() {
  *self_ = nullptr;
  for (const SlotPtr& slot : slots_) slot->line->abandon();
}

void PreforkPool::start(Handlers handlers) {
  handlers_ = std::move(handlers);
  spawn_missing();
}

// --- slots come and go

void PreforkPool::spawn_missing() {
  if (stopping_ || fatal_) return;
  const auto staying = [](const SlotPtr& slot) { return !slot->leaving && !slot->dying; };
  auto count = static_cast<std::size_t>(std::count_if(slots_.begin(), slots_.end(), staying));
  for (; count < target_ && !stopping_ && !fatal_; ++count) spawn();
}

void PreforkPool::spawn() {
  auto line = SlotLine::start(io_);
  if (!line) return failed_to_start(line.error().what);
  auto slot = std::make_shared<Slot>(io_);
  slot->line = std::move(*line);
  slots_.push_back(slot);
  SlotLine::Handlers handlers;
  handlers.on_frames = [this, weak = std::weak_ptr<Slot>(slot)](std::vector<ipc::Frame>&& frames) {
    if (const SlotPtr s = weak.lock()) take(s, std::move(frames));
  };
  handlers.on_exit = [this, weak = std::weak_ptr<Slot>(slot)](ExitStatus status) {
    if (const SlotPtr s = weak.lock()) on_exit(s, status);
  };
  slot->line->listen(std::move(handlers));
  ipc::Configure configuration;
  configuration.accept = options_.accept;
  configuration.max_tasks = options_.max_tasks_per_slot;
  configuration.max_memory = options_.max_memory_per_slot;
  configuration.memory_limit = options_.memory_limit;
  configuration.stdout_level = options_.stdout_level;
  slot->line->queue(configuration);
  slot->line->flush();
  slot->timer.expires_after(seconds(options_.alive_timeout));
  slot->timer.async_wait([this, self = self_, weak = std::weak_ptr<Slot>(slot)](error_code error) {
    const SlotPtr s = weak.lock();
    if (!error && *self && s && !s->ready) s->line->kill(SIGKILL);
  });
}

// Slots that die as soon as they are started must not turn the worker into a fork bomb.
void PreforkPool::failed_to_start(const std::string& why) {
  ++failures_;
  if (failures_ > 4 + 2 * target_) {
    if (std::exchange(fatal_, true)) return;
    const auto report = [this, self = self_, why] {
      if (*self && handlers_.on_fatal) handlers_.on_fatal("Could not start worker processes: " + why);
    };
    boost::asio::post(io_, report);
    return;
  }
  respawn_.expires_after(std::chrono::milliseconds(50) * failures_);
  respawn_.async_wait([this, self = self_](error_code error) {
    if (!error && *self) spawn_missing();
  });
}

void PreforkPool::on_exit(const SlotPtr& slot, ExitStatus status) {
  slot->timer.cancel();
  slots_.erase(std::remove(slots_.begin(), slots_.end(), slot), slots_.end());
  const bool recycled = status.signal == 0 && status.code == recycle_exit_code;
  const bool wanted = recycled || slot->leaving || slot->dying;
  log_exit(*slot, status);
  conclude_running(*slot, status);
  take_back(*slot, !wanted);
  deliver();
  if (!wanted && !slot->worked) {
    failed_to_start(slot->ready ? "they die before they get to a task"
                                : "they do not report within worker_proc_alive_timeout, or exit");
  } else {
    spawn_missing();
  }
  schedule_dispatch();
  check_stopped();
}

void PreforkPool::log_exit(const Slot& slot, ExitStatus status) const {
  if (slot.leaving || slot.dying) return;
  const std::string pid = std::to_string(slot.line->pid());
  if (status.signal == 0 && status.code == recycle_exit_code) {
    if (options_.max_tasks_per_slot == 0 || slot.finished < options_.max_tasks_per_slot)
      log(LogLevel::warning, "slot pid:" + pid + " replaced: it used more memory than max_memory_per_child");
    return;
  }
  std::string how = "exitcode " + std::to_string(status.code);
  if (status.signal != 0) {
    const char* name = sigabbrev_np(status.signal);
    how = "signal " + std::to_string(status.signal) + " (SIG" + (name ? name : "?") + ")";
  }
  log(LogLevel::error, "Process slot pid:" + pid + " exited with '" + how + "'");
}

void PreforkPool::conclude_running(Slot& slot, ExitStatus status) {
  if (!slot.running) return;
  Running running = std::move(*slot.running);
  slot.running.reset();
  Finished finished;
  finished.job = running.job.id;
  finished.usage.wall = duration<double>(Clock::now() - running.since).count();
  if (running.verdict) {
    finished.outcome = std::move(*running.verdict);
    if (auto* lost = std::get_if<Lost>(&finished.outcome)) {
      lost->signal = status.signal;
      lost->exit_code = status.code;
    }
  } else {
    Lost lost;
    lost.signal = status.signal;
    lost.exit_code = status.code;
    lost.out_of_memory = status.signal == SIGKILL && oom_.killed_since_last_asked();
    finished.outcome = lost;
  }
  finished_.push_back(std::move(finished));
}

// What the slot held but had not started goes to others, in its old place. The first of them may be
// what killed it, by a body that takes the reader down.
void PreforkPool::take_back(Slot& slot, bool suspicious) {
  if (slot.assigned.empty()) return;
  if (suspicious && ++slot.assigned.front().deaths >= deaths_allowed) {
    Finished finished;
    finished.job = slot.assigned.front().job.id;
    finished.outcome = Lost{};
    finished_.push_back(std::move(finished));
    slot.assigned.pop_front();
  }
  std::erase_if(slot.assigned, [this](const Pending& pending) {
    if (pending.recalled) recalled_.push_back(pending.job.id);
    return pending.recalled;
  });
  queue_.insert(queue_.begin(), std::make_move_iterator(slot.assigned.begin()),
                std::make_move_iterator(slot.assigned.end()));
  slot.assigned.clear();
}

void PreforkPool::grow(unsigned n) {
  target_ += n;
  spawn_missing();
}

void PreforkPool::shrink(unsigned n) {
  n = std::min(n, target_ - 1);
  target_ -= n;
  for (const bool idle : {true, false}) {
    for (const SlotPtr& slot : slots_) {
      if (n == 0) break;
      if (slot->leaving || slot->dying || (slot->load() == 0) != idle) continue;
      --n;
      slot->leaving = true;
      if (idle) let_go(slot);
    }
  }
}

// An idle slot ends by itself, so that its engines are closed in order.
void PreforkPool::let_go(const SlotPtr& slot) {
  slot->leaving = true;
  slot->line->close_input();
  slot->timer.expires_after(leave_patience);
  slot->timer.async_wait([self = self_, slot](error_code error) {
    if (!error && *self) slot->line->kill(SIGKILL);
  });
}

void PreforkPool::kill(const SlotPtr& slot, int signal) {
  slot->dying = true;
  slot->line->kill(signal);
  if (signal == SIGKILL) return;
  slot->timer.expires_after(grace);
  slot->timer.async_wait([self = self_, slot](error_code error) {
    if (!error && *self) slot->line->kill(SIGKILL);
  });
}

void PreforkPool::recall(JobId job) {
  for (const SlotPtr& slot : slots_) {
    for (Pending& pending : slot->assigned) {
      if (pending.job.id != job || std::exchange(pending.recalled, true)) continue;
      slot->line->queue(ipc::Recall{job});
      slot->line->flush();
    }
  }
}

bool PreforkPool::terminate(JobId job, int signal) {
  for (const SlotPtr& slot : slots_) {
    if (!slot->running || slot->running->job.id != job) continue;
    // SIGUSR1 is how operators raise the soft limit by hand: the task decides.
    if (signal == SIGUSR1) {
      slot->line->tell_soft_limit(job);
      return true;
    }
    if (!slot->running->verdict) slot->running->verdict = Lost{.terminated = true};
    kill(slot, signal);
    return true;
  }
  return false;
}

void PreforkPool::stop(std::function<void()> done) {
  stopping_ = true;
  stopped_ = std::move(done);
  respawn_.cancel();
  const std::vector<SlotPtr> slots = slots_;
  for (const SlotPtr& slot : slots) {
    if (slot->load() == 0) {
      let_go(slot);
    } else {
      if (slot->running && !slot->running->verdict) slot->running->verdict = Lost{.terminated = true};
      kill(slot, SIGKILL);
    }
  }
  check_stopped();
}

void PreforkPool::check_stopped() {
  if (!stopping_ || !slots_.empty() || !stopped_) return;
  boost::asio::post(io_, std::exchange(stopped_, nullptr));
}

// --- what slots say

void PreforkPool::take(const SlotPtr& slot, std::vector<ipc::Frame>&& frames) {
  for (ipc::Frame& frame : frames) {
    if (take(slot, std::move(frame))) continue;
    log(LogLevel::critical, "slot pid:" + std::to_string(slot->line->pid()) + " breaks the protocol: killed");
    slot->line->kill(SIGKILL);
    break;
  }
  deliver();
  if (slot->leaving && slot->load() == 0 && !stopping_) let_go(slot);
  schedule_dispatch();
}

bool PreforkPool::take(const SlotPtr& slot, ipc::Frame&& frame) {
  if (std::holds_alternative<ipc::Ready>(frame)) {
    slot->ready = true;
    if (!slot->leaving && !slot->dying) slot->timer.cancel();
    return true;
  }
  if (auto* started = std::get_if<Started>(&frame)) return on_start(slot, *started);
  if (auto* finished = std::get_if<Finished>(&frame)) return on_finish(slot, std::move(*finished));
  if (auto* asked = std::get_if<ipc::Asked>(&frame)) return on_asked(slot, std::move(*asked));
  if (const auto* recalled = std::get_if<ipc::Recall>(&frame)) return on_recalled(slot, recalled->job);
  return false;
}

bool PreforkPool::on_start(const SlotPtr& slot, Started& started) {
  if (slot->running || slot->assigned.empty() || slot->assigned.front().job.id != started.job) return false;
  slot->worked = true;
  failures_ = 0;
  slot->running.emplace();
  slot->running->job = std::move(slot->assigned.front().job);
  slot->running->since = Clock::now();
  slot->running->started_at = started.at;
  slot->assigned.pop_front();
  started.pid = slot->line->pid();
  started_.push_back(started);
  if (stopping_) {
    slot->running->verdict = Lost{.terminated = true};
    return true;
  }
  if (slot->running->job.soft_limit > 0 || slot->running->job.hard_limit > 0) arm_limits(slot);
  return true;
}

bool PreforkPool::on_finish(const SlotPtr& slot, Finished&& finished) {
  if (slot->running) {
    if (slot->running->job.id != finished.job) return false;
    const Job& job = slot->running->job;
    if (!slot->dying && (job.soft_limit > 0 || job.hard_limit > 0)) slot->timer.cancel();
    slot->running.reset();
    note_duration(finished.usage.wall);
  } else {
    // The body could not be read, so it never started.
    if (slot->assigned.empty() || slot->assigned.front().job.id != finished.job) return false;
    slot->assigned.pop_front();
    slot->worked = true;
  }
  ++slot->finished;
  finished_.push_back(std::move(finished));
  return true;
}

bool PreforkPool::on_recalled(const SlotPtr& slot, JobId job) {
  const auto erased = std::erase_if(
      slot->assigned, [job](const Pending& pending) { return pending.recalled && pending.job.id == job; });
  if (erased == 0) return false;
  recalled_.push_back(job);
  return true;
}

bool PreforkPool::on_asked(const SlotPtr& slot, ipc::Asked&& asked) {
  if (!slot->running || slot->running->job.id != asked.job) return false;
  deliver();  // its start comes first
  auto reply = [self = self_, weak = std::weak_ptr<Slot>(slot), job = asked.job](std::string error) {
    const SlotPtr s = weak.lock();
    if (!*self || !s || !s->running || s->running->job.id != job) return;
    s->line->queue(ipc::Reply{std::move(error)});
    s->line->flush();
  };
  if (!is_call(asked.request)) {
    handlers_.on_request(asked.job, std::move(asked.request), [](const std::string&) {});
  } else {
    handlers_.on_request(asked.job, std::move(asked.request), std::move(reply));
  }
  return true;
}

void PreforkPool::deliver() {
  if (!started_.empty()) handlers_.on_started(std::exchange(started_, {}));
  if (!finished_.empty()) handlers_.on_finished(std::exchange(finished_, {}));
  if (!recalled_.empty() && handlers_.on_recalled) handlers_.on_recalled(std::exchange(recalled_, {}));
}

// --- time limits

void PreforkPool::arm_limits(const SlotPtr& slot) {
  const Running& running = *slot->running;
  const bool soft_next = running.job.soft_limit > 0 && !running.soft_told;
  double due = soft_next ? running.job.soft_limit : running.job.hard_limit;
  if (soft_next && running.job.hard_limit > 0) due = std::min(due, running.job.hard_limit);
  if (due <= 0) return;
  slot->timer.expires_at(running.since + seconds(due));
  slot->timer.async_wait([this, self = self_, slot, job = running.job.id](error_code error) {
    if (error || !*self || slot->dying || !slot->running || slot->running->job.id != job) return;
    on_limit(slot);
  });
}

void PreforkPool::on_limit(const SlotPtr& slot) {
  Running& running = *slot->running;
  const double passed = duration<double>(Clock::now() - running.since).count();
  const double hard = running.job.hard_limit;
  if (hard > 0 && passed >= hard) {
    running.verdict = HardTimeout{hard};
    return kill(slot, SIGKILL);
  }
  if (running.job.soft_limit > 0 && passed >= running.job.soft_limit && !running.soft_told) {
    running.soft_told = true;
    slot->line->tell_soft_limit(running.job.id);
    if (handlers_.on_soft_timeout) handlers_.on_soft_timeout(running.job.id, running.job.soft_limit);
  }
  if (slot->running) arm_limits(slot);
}

void PreforkPool::set_limits(JobId job, double soft, double hard) {
  for (const SlotPtr& slot : slots_) {
    for (Pending& pending : slot->assigned) {
      if (pending.job.id == job) pending.job.soft_limit = soft, pending.job.hard_limit = hard;
    }
    if (!slot->running || slot->running->job.id != job || slot->dying) continue;
    slot->running->job.soft_limit = soft;
    slot->running->job.hard_limit = hard;
    slot->timer.cancel();
    arm_limits(slot);
  }
  for (Pending& pending : queue_)
    if (pending.job.id == job) pending.job.soft_limit = soft, pending.job.hard_limit = hard;
}

// --- jobs go out

void PreforkPool::submit(Job job) {
  queue_.push_back({std::move(job), 0});
  schedule_dispatch();
}

void PreforkPool::schedule_dispatch() {
  if (dispatch_posted_ || queue_.empty() || stopping_) return;
  dispatch_posted_ = true;
  boost::asio::post(io_, [this, self = self_] {
    if (*self) dispatch();
  });
}

void PreforkPool::dispatch() {
  dispatch_posted_ = false;
  if (stopping_) return;
  while (!queue_.empty()) {
    Slot* slot = least_loaded();
    if (!slot) break;
    slot->line->queue(queue_.front().job);
    slot->assigned.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  for (const SlotPtr& slot : slots_) slot->line->flush();
}

PreforkPool::Slot* PreforkPool::least_loaded() {
  const bool quick = mean_seconds_ >= 0 && mean_seconds_ < quick_seconds;
  const std::size_t room = 1 + (quick ? options_.queued_per_slot : 0);
  Slot* best = nullptr;
  for (const SlotPtr& slot : slots_) {
    if (!slot->ready || slot->leaving || slot->dying || slot->load() >= room) continue;
    if (!best || slot->load() < best->load()) best = slot.get();
    if (best->load() == 0) break;
  }
  return best;
}

// Slow to fall and quick to rise: one long job says more than many short ones.
void PreforkPool::note_duration(double value) {
  mean_seconds_ = value > mean_seconds_ ? value : mean_seconds_ + (value - mean_seconds_) * 0.05;
}

unsigned PreforkPool::busy() const {
  return static_cast<unsigned>(std::count_if(slots_.begin(), slots_.end(),
                                             [](const SlotPtr& slot) { return slot->running.has_value(); }));
}

std::size_t PreforkPool::queued() const {
  std::size_t count = queue_.size();
  for (const SlotPtr& slot : slots_) count += slot->assigned.size();
  return count;
}

// Jobs already written to a slot stay there: it may be starting them at this moment.
std::vector<JobId> PreforkPool::drop_queued() {
  std::vector<JobId> out;
  for (const Pending& pending : queue_) out.push_back(pending.job.id);
  queue_.clear();
  return out;
}

std::vector<int> PreforkPool::pids() const {
  std::vector<int> out;
  for (const SlotPtr& slot : slots_) out.push_back(slot->line->pid());
  return out;
}

}  // namespace celeriac
