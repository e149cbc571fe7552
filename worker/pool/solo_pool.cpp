#include "worker/pool/solo_pool.hpp"

#include "protocol/time.hpp"
#include "worker/app.hpp"
#include "worker/run_task.hpp"

#include <unistd.h>
#include <boost/asio/post.hpp>

#include <exception>
#include <utility>

namespace celeriac {

SoloPool::SoloPool(boost::asio::io_context& io, const App& app, PoolOptions options)
    : io_(io), app_(app), options_(std::move(options)), self_(std::make_shared<SoloPool*>(this)) {}

SoloPool::~SoloPool() { *self_ = nullptr; }

void SoloPool::start(Handlers handlers) {
  handlers_ = std::move(handlers);
  try {
    app_.run_slot_start_hooks();
  } catch (const std::exception& error) {
    const auto report = [this, self = self_, what = std::string(error.what())] {
      if (*self && handlers_.on_fatal) handlers_.on_fatal("a slot could not start: " + what);
    };
    boost::asio::post(io_, report);
  }
}

void SoloPool::submit(Job job) {
  queue_.push_back(std::move(job));
  schedule();
}

// One job per turn, so that the loop reads and writes between two of them.
void SoloPool::schedule() {
  if (scheduled_ || running_ != 0 || stopping_ || queue_.empty()) return;
  scheduled_ = true;
  boost::asio::post(io_, [this, self = self_] {
    if (*self) run_next();
  });
}

void SoloPool::run_next() {
  scheduled_ = false;
  if (queue_.empty() || stopping_) return;
  const Job job = std::move(queue_.front());
  queue_.pop_front();
  running_ = job.id;
  static const std::atomic<bool> no_limit{false};
  Finished finished = run_task({app_, options_.accept, *this}, job, no_limit, [&] {
    std::vector<Started> started = {{job.id, getpid(), unix_now()}};
    handlers_.on_started(std::move(started));
  });
  running_ = 0;
  std::vector<Finished> batch;
  batch.push_back(std::move(finished));
  handlers_.on_finished(std::move(batch));
  schedule();
  if (stopped_) boost::asio::post(io_, std::exchange(stopped_, nullptr));
}

std::string SoloPool::request(TaskRequest request) {
  struct Answer {
    bool done = false;
    std::string error;
  };
  const bool waits = is_call(request);
  const auto answer = std::make_shared<Answer>();
  handlers_.on_request(running_, std::move(request), [answer](std::string error) {
    answer->done = true;
    answer->error = std::move(error);
  });
  // The task is on the loop's own stack: the loop goes on beneath it until the broker has answered.
  while (waits && !answer->done)
    if (io_.run_one() == 0) return "the worker is shutting down";
  return answer->error;
}

std::vector<JobId> SoloPool::drop_queued() {
  std::vector<JobId> out;
  for (const Job& job : queue_) out.push_back(job.id);
  queue_.clear();
  return out;
}

void SoloPool::stop(std::function<void()> done) {
  stopping_ = true;
  stopped_ = std::move(done);
  if (running_ == 0) boost::asio::post(io_, std::exchange(stopped_, nullptr));
}

std::vector<int> SoloPool::pids() const { return {getpid()}; }

}  // namespace celeriac
