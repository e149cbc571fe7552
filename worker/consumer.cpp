// From a delivery to the pool. What happens after a run is in consumer_settle.cpp.
#include "worker/consumer.hpp"

#include "protocol/time.hpp"
#include "worker/dead_letter_notice.hpp"
#include "worker/events/task_events.hpp"
#include "worker/run_observer.hpp"

#include <fmt/format.h>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <csignal>
#include <set>

namespace celeriac {
namespace {

// A message beyond Celery's own window is given back when no slot has taken it for this long.
constexpr double max_hold = 1.0;  // seconds

Clock::time_point to_clock(double unix_seconds) {
  return Clock::time_point(
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(unix_seconds)));
}

}  // namespace

Consumer::Consumer(Parts parts)
    : parts_(std::move(parts)),
      canvas_(parts_.broker, parts_.stores, parts_.settings, parts_.app),
      accept_(content_types(parts_.settings.accept_content)),
      limit_timer_(parts_.io),
      prefetch_(parts_.prefetch) {}

Expected<std::unique_ptr<Consumer>> Consumer::create(Parts parts) {
  std::unique_ptr<Consumer> consumer(new Consumer(std::move(parts)));
  if (auto resolved = consumer->resolve_policies(); !resolved) return tl::unexpected(resolved.error());
  return consumer;
}

Expected<bool> Consumer::resolve_policies() {
  std::vector<const App::Task*> tasks = parts_.app.tasks();
  for (const App::Task* task : parts_.app.builtins()) tasks.push_back(task);
  for (const App::Task* task : tasks) {
    auto policy = resolve_policy(*task, parts_.settings);
    if (!policy) return tl::unexpected(policy.error());
    const TaskPolicy& kept = policies_.emplace(task->name, *policy).first->second;
    if (kept.rate > 0) limits_.emplace(&kept, RateLimit(kept.rate));
  }
  return true;
}

void Consumer::consume() {
  if (draining_) return;
  apply_window();
  parts_.broker.consume(eta_closed_ ? std::vector<std::string>() : parts_.queues);
}

void Consumer::on_deliveries(std::vector<Delivery>&& batch) {
  if (draining_) return;  // unsettled: the broker gives them back when it stops
  const double now = unix_now();
  deliveries_ += batch.size();
  for (Delivery& delivery : batch) take(std::move(delivery), now);
  release_limited(now);
  feed(now);
}

// These messages are back in their queues. What has not begun is forgotten and comes again, here or
// elsewhere; what runs goes on and is settled with its next delivery.
void Consumer::on_taken(const std::vector<Tag>& tags) {
  take_back_queued();
  const std::set<Tag> taken(tags.begin(), tags.end());
  std::size_t known = 0;  // the others wait for their ETA at the broker
  for (auto entry = requests_.begin(); entry != requests_.end();) {
    Request& request = entry->second;
    known += std::erase_if(request.duplicates, [&](Tag tag) { return taken.count(tag) != 0; });
    if (taken.count(request.tag) == 0 || request.settled) {
      ++entry;
      continue;
    }
    ++known;
    if (!request.duplicates.empty()) {  // the same run, still held by another delivery
      parts_.broker.release(request.tag);
      request.tag = request.duplicates.back();
      request.duplicates.pop_back();
      ++entry;
      continue;
    }
    if (request.phase == Request::Phase::ready || request.phase == Request::Phase::limited) {
      parts_.broker.release(request.tag);
      entry = requests_.erase(entry);
      continue;
    }
    request.taken = true;
    if (parts_.settings.worker_cancel_long_running_tasks_on_connection_loss && request.policy->acks_late &&
        request.phase == Request::Phase::running && parts_.pool.terminate(request.job, SIGTERM)) {
      request.cancelled = true;
      log(LogLevel::warning,
          fmt::format(
              "Task {}[{}] cannot be acknowledged after a connection loss since late acknowledgement is "
              "enabled for it. Terminating it instead.",
              request.headers->display_name(), request.id()));
    }
    ++entry;
  }
  for (const Tag tag : taken) scheduled_.erase(tag);
  deferred_ -= std::min(deferred_, tags.size() - std::min(tags.size(), known));
  feed(unix_now());
}

void Consumer::take(Delivery&& delivery, double now) {
  if (delivery.deferred) {
    if (deferred_ > 0) --deferred_;
    scheduled_.erase(delivery.tag);
  }
  if (!delivery.error.empty()) return refuse(delivery, Refused{Refusal::undecodable, delivery.error, {}, {}});
  auto headers = read_task(delivery.message, accept_);
  if (!headers) return refuse(delivery, headers.error());
  const auto policy = policies_.find(headers->task);
  if (policy == policies_.end()) return refuse_unregistered(std::move(delivery), std::move(*headers));
  if (delivery.redelivered && attach_duplicate(delivery, *headers)) return;

  if (!delivery.deferred && log_enabled(LogLevel::info)) {
    log(LogLevel::info, fmt::format("Task {}[{}] received", headers->display_name(), headers->id));
  }
  const bool dead = (headers->expires && now > *headers->expires) || is_revoked(*headers, now);
  if (!dead && !delivery.deferred && parts_.events && parts_.events->wants_tasks() &&
      policy->second.task->options.send_events) {
    tell_received(delivery.message, *headers);
  }
  if (!dead && hold_for_eta(delivery, *headers, now)) return;

  const JobId job = ++last_job_;
  Request& request =
      requests_.emplace(job, make_request(job, std::move(delivery), std::move(*headers), policy->second))
          .first->second;
  for (auto* observer : parts_.observers) observer->on_received(request);
  if (discard_revoked(request, now)) return;
  if (const auto limit = limits_.find(request.policy); limit != limits_.end()) {
    request.phase = Request::Phase::limited;
    limit->second.add(job);
    return;
  }
  request.held_since = now;
  ready_.push_back(job);
}

void Consumer::refuse(const Delivery& delivery, const Refused& refused) {
  const RefusalLog line = refusal_log(refused);
  log(line.level, refused.task.empty()
                      ? line.text
                      : fmt::format("{} (task {}[{}])", line.text, refused.task, refused.task_id));
  DeadLetter why;
  why.category = dead_letter_category(refused.why);
  why.cause = refused.cause;
  why.task = refused.task;
  why.task_id = refused.task_id;
  why.worker = parts_.node;
  const std::string& to = parts_.settings.dead_letter_queue;
  if (to.empty()) return parts_.broker.bury(delivery.tag, std::move(why));
  DeadNotice notice;
  notice.category = why.category;
  notice.cause = delivery.error.empty() ? why.cause : delivery.error;
  notice.queue = delivery.queue;
  notice.worker = parts_.node;
  notice.task = refused.task;
  notice.task_id = refused.task_id;
  ++writes_;
  parts_.broker.publish(dead_letter_notice(notice, delivery.message, to, unix_now()).message,
                        [this, tag = delivery.tag, why = std::move(why)](const Status& status) {
                          --writes_;
                          if (!status.ok())
                            log(LogLevel::error, "a dead letter's notice was not sent: " + status.what);
                          parts_.broker.bury(tag, why);  // there it is kept in any case
                          after_write();
                        });
}

void Consumer::refuse_unregistered(Delivery&& delivery, TaskHeaders&& headers) {
  // Only what settling needs: there is no task, so no options and no extended row.
  static const TaskPolicy no_policy;
  log(LogLevel::error, unregistered_text(headers.task, headers.id, delivery.queue));
  const JobId job = ++last_job_;
  Request& request =
      requests_.emplace(job, make_request(job, std::move(delivery), std::move(headers), no_policy))
          .first->second;
  request.phase = Request::Phase::finished;
  request.ignore_result = false;
  if (told(request)) request.ended = unregistered_event(request.headers->task);
  execute(request, settle_unregistered(request.headers->task));
}

bool Consumer::attach_duplicate(const Delivery& delivery, const TaskHeaders& headers) {
  for (auto& [job, request] : requests_) {
    if (request.id() != headers.id || request.headers->retries != headers.retries) continue;
    log(LogLevel::warning, fmt::format("Task {}[{}] was delivered again while it is here; it runs once",
                                       headers.display_name(), headers.id));
    if (request.settled) {
      parts_.broker.ack(delivery.tag);
    } else if (request.taken) {
      request.taken = false;
      request.tag = delivery.tag;
    } else {
      request.duplicates.push_back(delivery.tag);
    }
    return true;
  }
  return false;
}

bool Consumer::hold_for_eta(const Delivery& delivery, const TaskHeaders& headers, double now) {
  if (delivery.deferred || !headers.eta || *headers.eta <= now) return false;
  parts_.broker.defer(delivery.tag, to_clock(*headers.eta));
  ++deferred_;
  schedule(delivery, headers);
  if (!eta_closed_ && prefetch_.eta_full(deferred_)) {
    eta_closed_ = true;
    consume();
  }
  return true;
}

bool Consumer::discard_revoked(Request& request, double now) {
  const bool expired = request.headers->expires && now > *request.headers->expires;
  if (!expired && !is_revoked(*request.headers, now)) return false;
  if (expired) revoked_.add(request.id(), now);
  if (log_enabled(LogLevel::info)) {
    log(LogLevel::info,
        fmt::format("Discarding revoked task: {}[{}]", request.headers->display_name(), request.id()));
  }
  request.phase = Request::Phase::finished;
  if (told(request)) tell(request, revoked_event(false, 0, expired));
  Settlement settlement = settle_revoked(expired ? "expired" : "revoked", facts(request));
  for (auto* observer : parts_.observers) observer->on_ended(request, {state::revoked, settlement, {}});
  execute(request, std::move(settlement));
  return true;
}

void Consumer::feed(double now) {
  if (feeding_ || draining_) return;  // the solo pool may finish a job inside submit()
  feeding_ = true;
  if (eta_closed_ && !prefetch_.eta_full(deferred_)) {
    eta_closed_ = false;
    consume();
  }
  const std::size_t room = parts_.pool.slots() + prefetch_.lookahead();
  while (!ready_.empty() && in_pool_ < room && !stores_lag_behind()) {
    const JobId job = ready_.front();
    ready_.pop_front();
    const auto found = requests_.find(job);
    if (found == requests_.end() || discard_revoked(found->second, now)) continue;
    Request& request = found->second;
    if (request.policy->deduplicate && request.redelivered && !request.looked_up && !parts_.stores.empty())
      look_up(request);
    else
      submit(request);
  }
  feeding_ = false;
}

void Consumer::submit(Request& request) {
  request.phase = Request::Phase::pooled;
  ++in_pool_;
  Job job;
  job.id = request.job;
  job.message = request.message;
  job.headers = request.headers;
  job.queue = request.queue;
  job.hostname = parts_.node;
  job.redelivered = request.redelivered;
  job.acks_late = request.policy->acks_late;
  job.soft_limit = request.soft_limit;
  job.hard_limit = request.hard_limit;
  parts_.pool.submit(std::move(job));
}

void Consumer::on_started(std::vector<Started>&& batch) {
  for (const Started& started : batch) {
    const auto found = requests_.find(started.job);
    if (found == requests_.end()) continue;
    Request& request = found->second;
    request.phase = Request::Phase::running;
    request.pid = started.pid;
    request.started_at = started.at;
    ++running_;
    ++processed_;
    ++totals_[request.policy];
    if (!request.policy->acks_late) conclude(request, Verdict::ack, {}, {});
    for (auto* observer : parts_.observers) observer->on_started(request);
    if (told(request)) tell(request, started_event());
    if (request.policy->track_started && !request.ignore_result && !parts_.stores.empty()) {
      TaskResult started_row = row(request);
      started_row.status = state::started;
      started_row.result = fmt::format("{{\"pid\": {}, \"hostname\": ", started.pid);
      dump_json_string(parts_.node, started_row.result);
      started_row.result += '}';
      store_row(std::move(started_row));
    }
    if (request.terminate_signal != 0) parts_.pool.terminate(request.job, request.terminate_signal);
  }
}

void Consumer::on_soft_timeout(JobId job, double limit) {
  const auto found = requests_.find(job);
  if (found == requests_.end()) return;
  log(LogLevel::warning, fmt::format("Soft time limit ({}s) exceeded for {}[{}]", limit_text(limit),
                                     found->second.headers->display_name(), found->second.id()));
}

void Consumer::on_recalled(std::vector<JobId>&& jobs) {
  take_back(jobs);
  feed(unix_now());  // discards what is revoked
  after_write();
}

void Consumer::release_limited(double now) {
  double next = 0;
  for (auto& [policy, limit] : limits_) {
    while (const JobId job = limit.take(now)) {
      const auto found = requests_.find(job);
      if (found == requests_.end()) continue;
      found->second.phase = Request::Phase::ready;
      found->second.held_since = now;
      ready_.push_back(job);
    }
    const double due = limit.next_due(now);
    if (due > 0 && (next == 0 || due < next)) next = due;
  }
  if (next == 0) return;
  limit_timer_.expires_after(std::chrono::microseconds(static_cast<std::int64_t>((next - now) * 1e6) + 1));
  limit_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || draining_) return;
    const double when = unix_now();
    release_limited(when);
    feed(when);
  });
}

void Consumer::tick() {
  if (draining_) return;
  if (parts_.broker.fixed_window()) apply_window();  // it may have become so
  const double now = unix_now();
  if (running_ >= parts_.pool.slots()) {
    double youngest = now;
    for (const auto& [job, request] : requests_) {
      if (request.phase == Request::Phase::running) youngest = std::min(youngest, now - request.started_at);
    }
    if (prefetch_.on_busy(youngest)) apply_window();
    if (youngest > max_hold) take_back_queued();
  }
  give_back_surplus(now);
  feed(now);
}

void Consumer::take_back_queued() { take_back(parts_.pool.drop_queued()); }

void Consumer::take_back(const std::vector<JobId>& jobs) {
  in_pool_ -= std::min(in_pool_, jobs.size());
  for (auto job = jobs.rbegin(); job != jobs.rend(); ++job) {
    const auto found = requests_.find(*job);
    if (found == requests_.end()) continue;
    if (draining_) {  // stays unsettled: the broker gives it back when it stops
      requests_.erase(found);
      continue;
    }
    found->second.phase = Request::Phase::ready;
    ready_.push_front(*job);
  }
}

void Consumer::give_back_surplus(double now) {
  const unsigned plain = prefetch_.plain_window();
  if (plain == 0 || parts_.broker.fixed_window()) return;
  if (ready_.empty() || requests_.size() <= plain) return;
  // As the broker counts: what was acknowledged at its start is no longer held.
  std::size_t held = 0;
  for (const auto& [job, request] : requests_) held += request.settled ? 0 : 1;
  // Newest first: the broker puts each in front of the line, so the order is kept.
  while (!ready_.empty() && held > plain) {
    const auto found = requests_.find(ready_.back());
    if (found != requests_.end()) {
      if (now - found->second.held_since < max_hold) return;
      parts_.broker.release(found->second.tag);
      for (const Tag tag : found->second.duplicates) parts_.broker.ack(tag);
      requests_.erase(found);
      --held;
    }
    ready_.pop_back();
  }
}

void Consumer::apply_window() {
  const bool fixed = parts_.broker.fixed_window();
  parts_.broker.set_window(fixed ? prefetch_.plain_window() : prefetch_.window());
}

void Consumer::drain(std::function<void()> done) {
  if (!draining_) {
    draining_ = true;
    parts_.broker.pause();
    limit_timer_.cancel();
    take_back_queued();
    for (const auto& [job, request] : requests_)
      if (request.phase == Request::Phase::pooled) parts_.pool.recall(job);
    // What has not started stays unsettled: the broker gives it back when it stops.
    std::erase_if(requests_, [](const auto& entry) {
      const auto phase = entry.second.phase;
      return phase == Request::Phase::ready || phase == Request::Phase::limited;
    });
    ready_.clear();
  }
  drained_ = std::move(done);
  after_write();
}

void Consumer::after_write() {
  if (!draining_ || in_pool_ > 0 || writes_ > 0 || !drained_) return;
  boost::asio::post(parts_.io, std::exchange(drained_, nullptr));
}

}  // namespace celeriac
