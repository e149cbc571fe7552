#include "worker/pool/async_pool.hpp"

#include "protocol/repr.hpp"
#include "protocol/time.hpp"
#include "worker/async_task.hpp"
#include "worker/run_task.hpp"
#include "worker/task_run.hpp"

#include <unistd.h>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <utility>

namespace celeriac {
namespace {

constexpr unsigned function_threads = 8;

boost::asio::steady_timer::duration from_seconds(double seconds) {
  return std::chrono::duration_cast<boost::asio::steady_timer::duration>(
      std::chrono::duration<double>(seconds));
}

}  // namespace

// One job in a slot. The worker's loop owns the timers; the coroutines' thread owns `cancel`.
struct AsyncPool::Run : TaskPort {
  Run(AsyncPool& owner, Job taken, const App::Task* known)
      : pool(owner), job(std::move(taken)), task(known), soft_timer(owner.io_), hard_timer(owner.io_) {}

  std::string request(TaskRequest asked) override { return pool.request(job.id, std::move(asked)); }

  bool is_coroutine() const { return task && task->async_body; }

  Outcome ended() const {
    if (ending == Ending::hard_limit) return HardTimeout{job.hard_limit};
    Lost lost;
    lost.terminated = true;
    return lost;
  }

  awaitable<Finished> run_coroutine(std::function<void()> on_start);

  AsyncPool& pool;
  const Job job;
  const App::Task* const task;
  std::atomic<bool> soft_limit_hit{false};
  std::atomic<Ending> ending{Ending::none};
  boost::asio::cancellation_signal cancel;
  boost::asio::steady_timer soft_timer, hard_timer;
};

awaitable<Finished> AsyncPool::Run::run_coroutine(std::function<void()> on_start) {
  Finished finished;
  finished.job = job.id;
  auto body = read_body(*job.message, *job.headers, pool.options_.accept);
  if (!body) {
    finished.outcome = Undecodable{std::move(body.error())};
    co_return finished;
  }
  if (job.headers->argsrepr.empty()) finished.args_repr = python_args_repr(body->args);
  if (job.headers->kwargsrepr.empty()) finished.kwargs_repr = python_repr(body->kwargs);
  on_start();
  const auto began = std::chrono::steady_clock::now();
  const RunEnvironment environment{pool.app_, pool.options_.accept, *this};
  TaskRun run(environment, job, *task, std::move(*body), soft_limit_hit);
  std::exception_ptr thrown;
  try {
    const Json result = co_await task->async_body(run.context(), run.body().args, run.body().kwargs);
    finished.outcome = run.returned(result);
  } catch (...) {
    thrown = std::current_exception();
  }
  if (thrown)
    finished.outcome =
        ending == Ending::none ? run.threw(as_soft_limit(run.context(), std::move(thrown))) : ended();
  finished.usage.wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  co_return finished;
}

AsyncPool::AsyncPool(boost::asio::io_context& io, const App& app, PoolOptions options)
    : io_(io),
      app_(app),
      options_(std::move(options)),
      target_(std::max(1u, options_.slots)),
      self_(std::make_shared<AsyncPool*>(this)),
      functions_(function_threads),
      open_(coroutines_.get_executor()) {}

AsyncPool::~AsyncPool() {
  *self_ = nullptr;
  {
    std::lock_guard lock(replies_mutex_);
    closed_ = true;
  }
  replied_.notify_all();
  for (const auto& [job, run] : running_) {
    run->soft_limit_hit = true;
    end(run, Ending::terminated);
  }
  open_.reset();
  if (thread_.joinable()) thread_.join();
  functions_.join();
}

void AsyncPool::start(Handlers handlers) {
  handlers_ = std::move(handlers);
  thread_ = std::thread([this] {
    try {
      app_.run_slot_start_hooks();
    } catch (const std::exception& error) {
      tell([this, what = std::string("a slot could not start: ") + error.what()] {
        if (handlers_.on_fatal) handlers_.on_fatal(what);
      });
    }
    coroutines_.run();
  });
}

template <class F>
void AsyncPool::tell(F&& what) {
  boost::asio::post(io_, [self = self_, what = std::forward<F>(what)]() mutable {
    if (*self) what();
  });
}

void AsyncPool::submit(Job job) {
  queue_.push_back(std::move(job));
  start_next();
}

void AsyncPool::start_next() {
  while (!stopping_ && !queue_.empty() && running_.size() < target_) {
    Job job = std::move(queue_.front());
    queue_.pop_front();
    const App::Task* task = app_.find(job.headers->task);
    auto run = std::make_shared<Run>(*this, std::move(job), task);
    running_.emplace(run->job.id, run);
    auto on_start = [this, run] {
      const Started started{run->job.id, getpid(), unix_now()};
      tell([this, run, started] {
        watch_limits(run);
        handlers_.on_started({started});
      });
    };
    if (!run->is_coroutine()) {
      boost::asio::post(functions_, [this, run, on_start] {
        const RunEnvironment environment{app_, options_.accept, *run};
        Finished finished = run_task(environment, run->job, run->soft_limit_hit, on_start);
        tell([this, finished = std::move(finished)]() mutable { on_finished(std::move(finished)); });
      });
      continue;
    }
    boost::asio::post(coroutines_, [this, run, on_start] {
      auto done = [this, run](std::exception_ptr lost, Finished finished) {
        if (lost) finished.outcome = run->ended();  // cancelled before it began
        finished.job = run->job.id;
        tell([this, finished = std::move(finished)]() mutable { on_finished(std::move(finished)); });
      };
      boost::asio::co_spawn(coroutines_, run->run_coroutine(on_start),
                            boost::asio::bind_cancellation_slot(run->cancel.slot(), std::move(done)));
    });
  }
}

void AsyncPool::watch_limits(const std::shared_ptr<Run>& run) {
  if (run->job.soft_limit > 0) {
    run->soft_timer.expires_after(from_seconds(run->job.soft_limit));
    run->soft_timer.async_wait([this, self = self_, run](boost::system::error_code error) {
      if (error || !*self || !running_.contains(run->job.id)) return;
      run->soft_limit_hit = true;
      if (run->is_coroutine()) end(run, Ending::none);
      if (handlers_.on_soft_timeout) handlers_.on_soft_timeout(run->job.id, run->job.soft_limit);
    });
  }
  if (run->job.hard_limit > 0 && run->is_coroutine()) {
    run->hard_timer.expires_after(from_seconds(run->job.hard_limit));
    run->hard_timer.async_wait([this, self = self_, run](boost::system::error_code error) {
      if (!error && *self && running_.contains(run->job.id)) end(run, Ending::hard_limit);
    });
  }
}

// Wakes the coroutine where it waits.
void AsyncPool::end(const std::shared_ptr<Run>& run, Ending ending) {
  if (ending != Ending::none) run->ending = ending;
  boost::asio::post(coroutines_, [run] { run->cancel.emit(boost::asio::cancellation_type::terminal); });
}

void AsyncPool::on_finished(Finished finished) {
  const auto found = running_.find(finished.job);
  found->second->soft_timer.cancel();
  found->second->hard_timer.cancel();
  running_.erase(found);
  std::vector<Finished> batch;
  batch.push_back(std::move(finished));
  handlers_.on_finished(std::move(batch));
  start_next();
  if (stopped_ && running_.empty()) boost::asio::post(io_, std::exchange(stopped_, nullptr));
}

// From the thread of a task.
std::string AsyncPool::request(JobId job, TaskRequest request) {
  const auto reply = is_call(request) ? std::make_shared<Reply>() : nullptr;
  tell([this, job, reply, request = std::move(request)]() mutable {
    handlers_.on_request(job, std::move(request), [self = self_, reply](std::string error) {
      if (!reply || !*self) return;
      AsyncPool& pool = **self;
      {
        std::lock_guard lock(pool.replies_mutex_);
        reply->done = true;
        reply->error = std::move(error);
      }
      pool.replied_.notify_all();
    });
  });
  if (!reply) return {};
  std::unique_lock lock(replies_mutex_);
  replied_.wait(lock, [&] { return reply->done || closed_; });
  return reply->done ? reply->error : "the worker is shutting down";
}

std::vector<JobId> AsyncPool::drop_queued() {
  std::vector<JobId> out;
  for (const Job& job : queue_) out.push_back(job.id);
  queue_.clear();
  return out;
}

bool AsyncPool::terminate(JobId job, int) {
  const auto found = running_.find(job);
  if (found == running_.end() || !found->second->is_coroutine()) return false;
  end(found->second, Ending::terminated);
  return true;
}

void AsyncPool::grow(unsigned n) {
  target_ += n;
  start_next();
}

void AsyncPool::shrink(unsigned n) { target_ -= std::min(n, target_ - 1); }

// Functions end when they end; coroutines at once.
void AsyncPool::stop(std::function<void()> done) {
  stopping_ = true;
  stopped_ = std::move(done);
  for (const auto& [job, run] : running_)
    if (run->is_coroutine()) end(run, Ending::terminated);
  if (running_.empty()) boost::asio::post(io_, std::exchange(stopped_, nullptr));
}

std::vector<int> AsyncPool::pids() const { return {getpid()}; }

}  // namespace celeriac
