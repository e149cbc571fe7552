// The consumer's side of remote control: what can be asked of it and changed while it runs.
#include "worker/consumer.hpp"
#include "worker/control/stamps.hpp"

#include "protocol/time.hpp"

#include <algorithm>

namespace celeriac {
namespace {

// Beyond this many, tasks that wait for their ETA are only counted: their bodies stay in the broker.
constexpr std::size_t most_scheduled = 1000;
constexpr std::size_t most_scheduled_body = 4096;

}  // namespace

bool Consumer::is_revoked(const TaskHeaders& headers, double now) const {
  if (revoked_.contains(headers.id, now)) return true;
  return !revoked_stamps_.empty() && stamp_matches(headers.stamps, revoked_stamps_);
}

void Consumer::schedule(const Delivery& delivery, const TaskHeaders& headers) {
  if (!parts_.settings.worker_enable_remote_control || scheduled_.size() >= most_scheduled) return;
  Scheduled kept;
  kept.headers = std::make_shared<const TaskHeaders>(headers);
  Message message = delivery.message.body.size() <= most_scheduled_body ? delivery.message : Message{};
  message.properties = delivery.message.properties;
  kept.message = std::make_shared<const Message>(std::move(message));
  kept.queue = delivery.queue;
  scheduled_.insert_or_assign(delivery.tag, std::move(kept));
}

std::vector<std::pair<std::string, std::uint64_t>> Consumer::totals() const {
  std::vector<std::pair<std::string, std::uint64_t>> out;
  for (const auto& [policy, count] : totals_) {
    if (policy->task) out.emplace_back(policy->task->name, count);
  }
  std::sort(out.begin(), out.end());
  return out;
}

// Celery's sum: what is held for its ETA comes on top of the window.
unsigned Consumer::prefetch_count() const {
  const unsigned window = prefetch_.window();
  return window == 0 ? 0 : window + static_cast<unsigned>(deferred_);
}

void Consumer::revoke(const std::vector<std::string>& ids) {
  const double now = unix_now();
  for (const std::string& id : ids) {
    revoked_.add(id, now);
    if (parts_.stores.empty()) continue;
    TaskResult revoked_row;
    revoked_row.task_id = id;
    revoked_row.status = state::revoked;
    revoked_row.result = settle_revoked("revoked", RunFacts{0, true, false, nullptr}).result;
    revoked_row.children = "null";
    revoked_row.date_done = now;
    store_row(std::move(revoked_row));
  }
  discard_waiting(now);
}

// What waits here for a slot or a token need not wait for its turn to be discarded.
void Consumer::discard_waiting(double now) {
  if (draining_) return;
  take_back_queued();
  std::vector<JobId> dead;
  for (auto& [job, request] : requests_) {
    const bool waits = request.phase == Request::Phase::ready || request.phase == Request::Phase::limited;
    const bool in_slot = request.phase == Request::Phase::pooled;
    if ((!waits && !in_slot) || !is_revoked(*request.headers, now)) continue;
    if (waits)
      dead.push_back(job);
    else
      parts_.pool.recall(job);
  }
  std::sort(dead.begin(), dead.end());
  for (const JobId job : dead) {
    Request& request = requests_.at(job);
    if (const auto limit = limits_.find(request.policy); limit != limits_.end()) limit->second.remove(job);
    std::erase(ready_, job);
    discard_revoked(request, now);
  }
  feed(now);
}

void Consumer::revoke_stamped(const std::string& header, const std::vector<std::string>& values) {
  std::vector<std::string>& known = revoked_stamps_[header];
  for (const std::string& value : values) {
    if (std::find(known.begin(), known.end(), value) == known.end()) known.push_back(value);
  }
  discard_waiting(unix_now());
}

bool Consumer::terminate(const std::string& id, int signal) {
  bool here = false;
  for (auto& [job, request] : requests_) {
    if (request.id() != id || request.phase == Request::Phase::finished) continue;
    here = true;
    request.terminate_signal = signal;
    if (request.phase == Request::Phase::running) parts_.pool.terminate(job, signal);
  }
  return here;
}

bool Consumer::set_rate_limit(std::string_view task, double per_second) {
  const auto policy = policies_.find(task);
  if (policy == policies_.end()) return false;
  policy->second.rate = per_second;
  const auto limit = limits_.find(&policy->second);
  if (limit != limits_.end())
    limit->second.set_rate(per_second);
  else if (per_second > 0)
    limits_.emplace(&policy->second, RateLimit(per_second));
  if (draining_) return true;
  const double now = unix_now();
  release_limited(now);
  feed(now);
  return true;
}

bool Consumer::set_time_limits(std::string_view task, double soft, double hard) {
  const auto found = policies_.find(task);
  if (found == policies_.end()) return false;
  TaskPolicy& policy = found->second;
  policy.soft_limit = soft;
  policy.hard_limit = hard;
  for (auto& [job, request] : requests_) {
    if (request.policy != &policy || request.phase > Request::Phase::ready) continue;
    request.soft_limit = request.headers->soft_time_limit.value_or(soft);
    request.hard_limit = request.headers->time_limit.value_or(hard);
  }
  return true;
}

void Consumer::add_queue(const std::string& queue) {
  if (std::find(parts_.queues.begin(), parts_.queues.end(), queue) != parts_.queues.end()) return;
  parts_.queues.push_back(queue);
  consume();
}

void Consumer::cancel_queue(const std::string& queue) {
  if (std::erase(parts_.queues, queue) > 0) consume();
}

void Consumer::send_signature(const Json& signature) {
  CanvasRequest request;
  request.signature = dump_json(signature);
  ++writes_;
  canvas_.apply(request, canvas_.sender(TaskHeaders{}, std::nullopt),
                [this](const std::string& error, const Json&) {
                  --writes_;
                  if (!error.empty()) log(LogLevel::error, "a signature could not be sent: " + error);
                  after_write();
                });
}

void Consumer::resized(unsigned concurrency) {
  if (prefetch_.resize(concurrency)) apply_window();
  if (!draining_) feed(unix_now());
}

}  // namespace celeriac
