#include "worker/pool/threads_pool.hpp"

#include "protocol/time.hpp"
#include "worker/app.hpp"
#include "worker/context.hpp"
#include "worker/run_task.hpp"

#include <unistd.h>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <exception>
#include <iterator>
#include <utility>

namespace celeriac {

// A running task's line to the loop.
class ThreadsPool::Port : public TaskPort {
 public:
  explicit Port(ThreadsPool& pool) : pool_(pool) {}

  std::string request(TaskRequest request) override {
    Ask ask;
    ask.job = job;
    if (is_call(request)) ask.reply = std::make_shared<Reply>();
    ask.request = std::move(request);
    const std::shared_ptr<Reply> reply = ask.reply;
    pool_.tell([&](News& news) { news.asks.push_back(std::move(ask)); });
    if (!reply) return {};
    std::unique_lock lock(pool_.news_mutex_);
    pool_.replied_.wait(lock, [&] { return reply->done || pool_.closed_; });
    return reply->done ? reply->error : "the worker is shutting down";
  }

  JobId job = 0;

 private:
  ThreadsPool& pool_;
};

ThreadsPool::ThreadsPool(boost::asio::io_context& io, const App& app, PoolOptions options)
    : io_(io),
      app_(app),
      options_(std::move(options)),
      target_(std::max(1u, options_.slots)),
      limit_timer_(io),
      self_(std::make_shared<ThreadsPool*>(this)) {}

ThreadsPool::~ThreadsPool() {
  *self_ = nullptr;
  {
    std::lock_guard lock(jobs_mutex_);
    ending_ = true;
    jobs_.clear();
  }
  {
    std::lock_guard lock(news_mutex_);
    closed_ = true;
  }
  for (const auto& [job, limit] : limited_) limit.second->store(true);
  jobs_ready_.notify_all();
  replied_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadsPool::start(Handlers handlers) {
  handlers_ = std::move(handlers);
  const unsigned count = std::exchange(target_, 0u);
  grow(count);
}

void ThreadsPool::grow(unsigned n) {
  target_ += n;
  {
    std::lock_guard lock(news_mutex_);
    alive_ += n;
  }
  for (unsigned i = 0; i < n; ++i) threads_.emplace_back([this] { run_thread(); });
}

void ThreadsPool::shrink(unsigned n) {
  n = std::min(n, target_ - 1);
  target_ -= n;
  {
    std::lock_guard lock(jobs_mutex_);
    surplus_ += n;
  }
  jobs_ready_.notify_all();
}

void ThreadsPool::submit(Job job) {
  Item item{std::move(job), nullptr};
  if (item.job.soft_limit > 0) {
    item.soft = std::make_shared<std::atomic<bool>>(false);
    limited_.emplace(item.job.id, std::pair(item.job.soft_limit, item.soft));
  }
  ++in_pool_;
  staged_.push_back(std::move(item));
  if (std::exchange(hand_over_posted_, true)) return;
  boost::asio::post(io_, [this, self = self_] {
    if (*self) hand_over();
  });
}

// All jobs of one turn of the loop in one go; only threads that wait are woken.
void ThreadsPool::hand_over() {
  hand_over_posted_ = false;
  if (stopping_) return;
  std::size_t wake = 0;
  {
    std::lock_guard lock(jobs_mutex_);
    wake = std::min<std::size_t>(staged_.size(), idle_);
    jobs_.insert(jobs_.end(), std::make_move_iterator(staged_.begin()),
                 std::make_move_iterator(staged_.end()));
  }
  staged_.clear();
  if (wake == 1) {
    jobs_ready_.notify_one();
  } else if (wake > 1) {
    jobs_ready_.notify_all();
  }
}

std::vector<JobId> ThreadsPool::drop_queued() {
  std::vector<JobId> out;
  {
    std::lock_guard lock(jobs_mutex_);
    for (const Item& item : jobs_) out.push_back(item.job.id);
    jobs_.clear();
  }
  for (const Item& item : staged_) out.push_back(item.job.id);
  staged_.clear();
  for (const JobId job : out) limited_.erase(job);
  in_pool_ -= out.size();
  return out;
}

// --- in a thread

bool ThreadsPool::next(Item& item) {
  std::unique_lock lock(jobs_mutex_);
  ++idle_;
  jobs_ready_.wait(lock, [this] { return !jobs_.empty() || surplus_ > 0 || ending_; });
  --idle_;
  if (surplus_ > 0) {
    --surplus_;
    return false;
  }
  if (jobs_.empty()) return false;
  item = std::move(jobs_.front());
  jobs_.pop_front();
  return true;
}

void ThreadsPool::run_thread() {
  try {
    app_.run_slot_start_hooks();
  } catch (const std::exception& error) {
    const std::string what = error.what();
    tell([&](News& news) { news.fatal = "a slot could not start: " + what; });
  }
  static const std::atomic<bool> no_limit{false};
  Port port(*this);
  const RunEnvironment environment{app_, options_.accept, port};
  const int pid = getpid();
  for (Item item; next(item); item = {}) {
    port.job = item.job.id;
    bool started = false;
    Finished finished = run_task(environment, item.job, item.soft ? *item.soft : no_limit, [&] {
      started = true;
      tell([&](News& news) { news.started.push_back({item.job.id, pid, unix_now()}); });
    });
    tell([&](News& news) {
      news.finished.push_back(std::move(finished));
      news.had_started.push_back(started);
    });
  }
  tell([this](News& news) {
    news.thread_ended = true;
    --alive_;
  });
}

// At most one wake-up of the loop however much there is to tell.
template <class F>
void ThreadsPool::tell(F&& change) {
  bool wake = false;
  {
    std::lock_guard lock(news_mutex_);
    change(news_);
    wake = !closed_ && !std::exchange(news_posted_, true);
  }
  if (!wake) return;
  boost::asio::post(io_, [this, self = self_] {
    if (*self) take_news();
  });
}

// --- on the loop

void ThreadsPool::take_news() {
  News news;
  {
    std::lock_guard lock(news_mutex_);
    std::swap(news, news_);
    news_posted_ = false;
  }
  // A job may start and another end in one batch: counted together, no slot seems to run both.
  const std::size_t begun =
      static_cast<std::size_t>(std::count(news.had_started.begin(), news.had_started.end(), true));
  in_pool_ -= news.finished.size();
  started_count_ = started_count_ + news.started.size() - begun;
  for (const Started& started : news.started) {
    if (limited_.empty()) break;
    const auto found = limited_.find(started.job);
    if (found == limited_.end()) continue;
    const auto due =
        std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::nanoseconds>(
                                               std::chrono::duration<double>(found->second.first));
    deadlines_.emplace(due, Deadline{started.job, found->second.first, found->second.second});
    watch_limits();
  }
  if (!news.started.empty()) handlers_.on_started(std::move(news.started));
  on_asks(std::move(news.asks));
  if (!limited_.empty())
    for (const Finished& finished : news.finished) limited_.erase(finished.job);
  if (!news.finished.empty()) handlers_.on_finished(std::move(news.finished));
  if (!news.fatal.empty() && handlers_.on_fatal) handlers_.on_fatal(std::move(news.fatal));
  if (news.thread_ended) check_stopped();
}

void ThreadsPool::on_asks(std::vector<Ask>&& asks) {
  for (Ask& ask : asks) {
    auto answer = [self = self_, reply = ask.reply](std::string error) {
      if (!reply || !*self) return;
      ThreadsPool& pool = **self;
      {
        std::lock_guard lock(pool.news_mutex_);
        reply->done = true;
        reply->error = std::move(error);
      }
      pool.replied_.notify_all();
    };
    handlers_.on_request(ask.job, std::move(ask.request), std::move(answer));
  }
}

void ThreadsPool::watch_limits() {
  if (deadlines_.empty()) return;
  limit_timer_.expires_at(deadlines_.begin()->first);
  limit_timer_.async_wait([this, self = self_](boost::system::error_code error) {
    if (error || !*self) return;
    const auto now = std::chrono::steady_clock::now();
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
      const Deadline deadline = deadlines_.begin()->second;
      deadlines_.erase(deadlines_.begin());
      if (limited_.find(deadline.job) == limited_.end()) continue;
      deadline.flag->store(true);
      if (handlers_.on_soft_timeout) handlers_.on_soft_timeout(deadline.job, deadline.limit);
    }
    watch_limits();
  });
}

// Threads end with the job they run, however long that takes; what waits stays for drop_queued().
void ThreadsPool::stop(std::function<void()> done) {
  stopping_ = true;
  stopped_ = std::move(done);
  {
    std::lock_guard lock(jobs_mutex_);
    ending_ = true;
    staged_.insert(staged_.begin(), std::make_move_iterator(jobs_.begin()),
                   std::make_move_iterator(jobs_.end()));
    jobs_.clear();
  }
  jobs_ready_.notify_all();
  check_stopped();
}

void ThreadsPool::check_stopped() {
  if (!stopping_ || !stopped_) return;
  {
    std::lock_guard lock(news_mutex_);
    if (alive_ > 0) return;
  }
  boost::asio::post(io_, std::exchange(stopped_, nullptr));
}

std::vector<int> ThreadsPool::pids() const { return {getpid()}; }

}  // namespace celeriac
