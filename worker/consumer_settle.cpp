// After a run: carries out what settle.hpp decides, in its order, and answers a running task.
#include "worker/consumer.hpp"
#include "worker/dead_letter_notice.hpp"
#include "worker/events/task_events.hpp"
#include "worker/routes.hpp"
#include "worker/run_observer.hpp"

#include "protocol/body.hpp"
#include "protocol/time.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace celeriac {
namespace {

ExceptionInfo kombu_error(std::string type, std::string_view what) {
  ExceptionInfo exception;
  exception.type = std::move(type);
  exception.module = "kombu.exceptions";
  exception.args = "[";
  dump_json_string(what, exception.args);
  exception.args += ']';
  return exception;
}

std::size_t memory_of(const TaskResult& result) {
  return result.result.size() + result.traceback.size() + result.args.size() + result.kwargs.size();
}

// Two JSON arrays as one.
std::string joined(std::string_view first, std::string_view second) {
  if (second == "[]") return std::string(first);
  if (first == "[]" || first == "null") return std::string(second);
  return std::string(first.substr(0, first.size() - 1)).append(", ").append(second.substr(1));
}

}  // namespace

void Consumer::on_finished(std::vector<Finished>&& batch) {
  double seconds = 0;
  for (Finished& finished : batch) {
    seconds += finished.usage.wall;
    if (in_pool_ > 0) --in_pool_;
    finish(std::move(finished));
  }
  if (prefetch_.on_finished(batch.size(), seconds)) apply_window();
  feed(unix_now());
  after_write();
}

void Consumer::finish(Finished&& finished) {
  const auto found = requests_.find(finished.job);
  if (found == requests_.end()) return;
  Request& request = found->second;
  if (request.phase == Request::Phase::running) --running_;
  request.phase = Request::Phase::finished;
  if (const auto* lost = std::get_if<Lost>(&finished.outcome);
      lost && lost->terminated && (cancelling_ || request.cancelled)) {
    const auto observed = [&](const Settlement& settlement) {
      for (auto* observer : parts_.observers)
        observer->on_ended(request, {run_lost, settlement, finished.usage});
    };
    if (request.cancelled) {
      RunFacts known = facts(request);
      known.acked = true;  // it is no longer ours
      Settlement settlement = settle_cancelled(known, "the connection to the broker was lost");
      settlement.verdict = Verdict::requeue;  // where it is already
      observed(settlement);
      return execute(request, std::move(settlement));
    }
    Settlement settlement = settle_cancelled(facts(request));
    observed(settlement);
    if (!request.settled) return forget(request.job);  // the broker gives it back when it stops
    settlement.next = Outgoing{request.queue, *request.message};
    settlement.next->message.properties.delivery_tag.clear();
    return execute(request, std::move(settlement));
  }
  log_outcome(request, finished);
  if (told(request)) {
    request.ended = ended_event(finished.outcome, request.job, finished.usage.wall, request.terminate_signal);
  }
  const std::string_view state = outcome_state(finished.outcome);
  Settlement settlement = settle(std::move(finished.outcome), facts(request));
  for (auto* observer : parts_.observers) observer->on_ended(request, {state, settlement, finished.usage});
  execute(request, std::move(settlement));
}

void Consumer::log_outcome(const Request& request, const Finished& finished) {
  const LogLevel level = outcome_level(finished.outcome);
  if (!log_enabled(level)) return;
  LogSource source;
  source.process = process_of(request.pid);
  log(level, source,
      outcome_text(finished.outcome, request.headers->display_name(), request.id(), request.job,
                   finished.usage.wall));
}

void Consumer::execute(Request& request, Settlement&& settlement) {
  if (settlement.next) return hand_on(request, std::move(settlement));
  plan_follow_ups(request, settlement);
  std::vector<canvas::Step> first;
  if (request.after) first = std::exchange(request.after->before, {});
  if (auto notice = take_notice(request, settlement)) first.emplace_back(std::move(*notice));
  if (!first.empty()) return publish_first(request, std::move(first), std::move(settlement));
  store(request, std::move(settlement));
}

// The next run may be over before we hear that it was sent. What is told and stored of this one comes first,
// or it would be the last word.
void Consumer::hand_on(Request& request, Settlement&& settlement) {
  if (request.ended && told(request)) tell_ended(request, settlement.verdict);
  auto& next = *settlement.next;
  if (next.queue.empty()) next.queue = request.queue;
  auto& key = next.message.properties.routing_key;
  if (key.empty()) key = next.queue;
  std::vector<canvas::Step> first;
  first.emplace_back(std::move(next));
  settlement.next.reset();
  if (settlement.status.empty() || parts_.stores.empty())
    return publish_first(request, std::move(first), std::move(settlement));
  TaskResult result = row(request);
  result.status = std::exchange(settlement.status, {});
  result.result = std::move(settlement.result);
  result.traceback = std::move(settlement.traceback);
  result.children = joined(settlement.children, request.sent);
  ++writes_;
  auto steps = std::make_shared<std::vector<canvas::Step>>(std::move(first));
  auto kept = std::make_shared<Settlement>(std::move(settlement));
  parts_.stores.store(std::move(result), [this, job = request.job, steps, kept](const Status& status) {
    --writes_;
    if (const auto found = requests_.find(job); found != requests_.end()) {
      if (!status.ok())
        log(LogLevel::error,
            fmt::format("Task {}[{}] state could not be stored: {}", found->second.headers->display_name(),
                        found->second.id(), status.what));
      publish_first(found->second, std::move(*steps), std::move(*kept));
    }
    after_write();
  });
}

// What failed for good is told of once, before its message is settled.
std::optional<Outgoing> Consumer::take_notice(Request& request, const Settlement& settlement) {
  const std::string& to = parts_.settings.dead_letter_queue;
  if (to.empty() || request.told_dead || !keeps_dead_letters_of(request.headers->task)) return std::nullopt;
  const double now = unix_now();
  const bool failed = (settlement.ended == state::failure && settlement.verdict != Verdict::requeue) ||
                      settlement.verdict == Verdict::bury;
  const bool expired =
      settlement.ended == state::revoked && request.headers->expires && now > *request.headers->expires;
  if (!failed && !expired) return std::nullopt;
  request.told_dead = true;
  DeadNotice notice;
  notice.category = expired                               ? "expired"
                    : settlement.verdict == Verdict::bury ? settlement.category
                                                          : "failed";
  notice.cause = settlement.cause;
  notice.exception = settlement.result;
  notice.traceback = settlement.traceback;
  notice.queue = request.queue;
  notice.worker = parts_.node;
  notice.task = request.headers->task;
  notice.task_id = request.id();
  notice.attempts = request.headers->retries + 1;
  return dead_letter_notice(notice, *request.message, to, now);
}

// What follows the task, if anything does: settlement.children and request.after.
void Consumer::plan_follow_ups(Request& request, Settlement& settlement) {
  request.after.reset();
  if (settlement.ended.empty()) return;
  Embed embed;
  if (settlement.embed) {
    if (settlement.embed->empty()) return;
    embed = Embed::of(*settlement.embed).value_or(Embed());
  } else {
    const Message& message = *request.message;
    const bool plain = is_plain_json(message, *request.headers);
    if (plain && canvas::nothing_follows(message.body)) return;
    if (const auto texts = plain ? argument_texts(message.body) : std::nullopt) {
      embed = Embed::of(texts->embed).value_or(Embed());
    } else {
      auto body = read_body(message, *request.headers, accept_);
      if (!body) return;
      embed = std::move(body->embed);
    }
  }
  if (embed.empty()) return;
  canvas::Ended ended;
  ended.headers = request.headers.get();
  ended.state = settlement.ended;
  ended.result = settlement.result;
  ended.traceback = settlement.traceback;
  ended.stored = !settlement.status.empty();
  ended.extended = parts_.settings.result_extended;
  auto after = canvas::aftermath(embed, ended, sender(request), canvas_.takes_error());
  if (!after) {
    const std::string why = "what follows the task cannot be read: " + after.error().what;
    log(LogLevel::error, fmt::format("Task {}[{}]: {}", request.headers->display_name(), request.id(), why));
    Threw failure;
    failure.exception = ExceptionInfo{"InvalidTaskError", "celery.exceptions", dump_json(Json::array({why}))};
    settlement = settle(std::move(failure), facts(request));
    settlement.embed = "";
    return;
  }
  if (after->empty()) return;
  if (!after->children.empty()) settlement.children = joined(settlement.children, dump_json(after->children));
  request.after = std::make_shared<canvas::Aftermath>(std::move(*after));
}

void Consumer::publish_first(Request& request, std::vector<canvas::Step>&& steps, Settlement&& settlement) {
  ++writes_;
  auto kept = std::make_shared<Settlement>(std::move(settlement));
  canvas_.send(std::move(steps), [this, job = request.job, kept](const Status& status) {
    --writes_;
    if (const auto found = requests_.find(job); found != requests_.end()) {
      if (status.ok()) {
        store(found->second, std::move(*kept));
      } else {
        // The next run, or what was to follow, cannot be sent: this is where it ends.
        log(LogLevel::error,
            fmt::format("Task {}[{}]: what follows it could not be sent: {}",
                        found->second.headers->display_name(), found->second.id(), status.what));
        Threw failure;
        failure.exception = kombu_error("OperationalError", status.what);
        if (told(found->second)) found->second.ended = ended_event(failure, job, 0, 0);
        Settlement failed = settle(std::move(failure), facts(found->second));
        failed.embed.reset();
        execute(found->second, std::move(failed));
      }
    }
    after_write();
  });
}

void Consumer::store(Request& request, Settlement&& settlement) {
  request.verdict = settlement.verdict;
  request.category = std::move(settlement.category);
  request.cause = std::move(settlement.cause);
  if (settlement.status.empty() || parts_.stores.empty()) return follow(request);
  TaskResult result = row(request);
  result.status = std::move(settlement.status);
  result.result = std::move(settlement.result);
  result.traceback = std::move(settlement.traceback);
  result.children = joined(settlement.children, request.sent);
  if (is_ready(result.status)) result.date_done = unix_now();
  request.stores_success = result.status == state::success;
  send_to_stores(request.job, std::move(result));
}

void Consumer::send_to_stores(JobId job, TaskResult&& result) {
  const std::size_t bytes = memory_of(result);
  ++writes_;
  write_bytes_ += bytes;
  parts_.stores.store(std::move(result),
                      [this, job, bytes](const Status& status) { on_stored(job, status, bytes); });
}

void Consumer::on_stored(JobId job, const Status& status, std::size_t bytes) {
  const bool lagged = stores_lag_behind();
  --writes_;
  write_bytes_ -= bytes;
  const auto found = requests_.find(job);
  if (found == requests_.end()) return after_write();
  Request& request = found->second;
  if (!status.ok()) {
    log(LogLevel::error, fmt::format("Task {}[{}] result could not be stored: {}",
                                     request.headers->display_name(), request.id(), status.what));
    if (request.stores_success) return store_unstorable(request, status);
  }
  follow(request);
  if (lagged && !stores_lag_behind()) feed(unix_now());
  after_write();
}

// The last thing before the broker hears: what waits for this task goes on.
void Consumer::follow(Request& request) {
  if (!request.after) {
    conclude(request, request.verdict, request.category, request.cause);
    return forget(request.job);
  }
  ++writes_;
  canvas::Aftermath rest = std::move(*request.after);
  request.after.reset();
  canvas_.follow(std::move(rest), sender(request), [this, job = request.job](const Status& status) {
    --writes_;
    if (const auto found = requests_.find(job); found != requests_.end()) {
      if (!status.ok()) {
        log(LogLevel::error,
            fmt::format("Task {}[{}]: not all that follows it could be done: {}",
                        found->second.headers->display_name(), found->second.id(), status.what));
      }
      follow(found->second);
    }
    after_write();
  });
}

// worker_deduplicate_successful_tasks: somebody began this message before, and may have ended it.
void Consumer::look_up(Request& request) {
  parts_.stores.first().fetch(request.id(), [this,
                                             job = request.job](Expected<std::optional<Json>> document) {
    const auto found = requests_.find(job);
    if (found == requests_.end() || draining_) return;
    Request& waiting = found->second;
    waiting.looked_up = true;
    if (!document) {
      log(LogLevel::error, fmt::format("Task {}[{}] runs again: its result cannot be looked up: {}",
                                       waiting.headers->display_name(), waiting.id(), document.error().what));
    } else if (*document && (*document)->value("status", Json()) == Json(std::string(state::success))) {
      return succeeded_before(waiting, **document);
    }
    ready_.push_front(job);
    feed(unix_now());
  });
}

// Callbacks and the next step left before the result was stored, with their ids as its children; a result
// without any was stored by somebody who sent nothing. The part of a chord comes after it, and counts once
// however often it is added.
void Consumer::succeeded_before(Request& request, const Json& document) {
  log(LogLevel::info, fmt::format("Task {}[{}] already completed successfully.",
                                  request.headers->display_name(), request.id()));
  request.phase = Request::Phase::finished;
  Returned returned;
  returned.result = dump_json(document.value("result", Json()));
  Settlement settlement = settle(std::move(returned), facts(request));
  settlement.embed.reset();
  plan_follow_ups(request, settlement);
  request.verdict = settlement.verdict;
  const Json children = document.value("children", Json());
  if (!request.after || request.after->before.empty() || !children.empty()) {
    if (request.after) request.after->before.clear();
    return follow(request);
  }
  ++writes_;
  canvas_.send(std::move(request.after->before), [this, job = request.job](const Status& status) {
    --writes_;
    if (const auto found = requests_.find(job); found != requests_.end()) {
      if (!status.ok()) {
        log(LogLevel::error,
            fmt::format("Task {}[{}]: what follows it could not be sent: {}",
                        found->second.headers->display_name(), found->second.id(), status.what));
      }
      follow(found->second);
    }
    after_write();
  });
}

// A value that no store takes must not leave the client waiting: it gets the reason instead.
void Consumer::store_unstorable(Request& request, const Status& status) {
  TaskResult result = row(request);
  result.status = state::failure;
  result.result = kombu_error("EncodeError", status.what).json();
  result.date_done = unix_now();
  request.stores_success = false;
  if (request.after) {
    for (canvas::PartEnd& end : request.after->parts) {
      end.part.state = state::failure;
      end.part.result = result.result;
    }
  }
  send_to_stores(request.job, std::move(result));
}

// A state in between: the next one, or the result, will say more.
void Consumer::store_row(TaskResult&& result) {
  if (stores_lag_behind()) return;
  const std::size_t bytes = memory_of(result);
  ++writes_;
  write_bytes_ += bytes;
  parts_.stores.store(std::move(result), [this, bytes](const Status& status) {
    --writes_;
    write_bytes_ -= bytes;
    if (!status.ok()) log(LogLevel::error, "a task's state could not be stored: " + status.what);
    after_write();
  });
}

void Consumer::conclude(Request& request, Verdict verdict, const std::string& category,
                        const std::string& cause) {
  if (request.settled || verdict == Verdict::nothing) return;
  request.settled = true;
  request.verdict = verdict;
  switch (verdict) {
    case Verdict::nothing:
      break;
    case Verdict::ack:
      if (request.phase == Request::Phase::running)
        parts_.broker.ack_begun(request.tag);
      else
        parts_.broker.ack(request.tag);
      break;
    case Verdict::requeue:
      parts_.broker.reject(request.tag, Requeue::yes);
      break;
    case Verdict::bury:
      parts_.broker.bury(request.tag, dead_letter(request, category, cause));
      break;
  }
  for (const Tag tag : request.duplicates) parts_.broker.ack(tag);
  request.duplicates.clear();
}

void Consumer::forget(JobId job) {
  const auto found = requests_.find(job);
  if (found == requests_.end()) return;
  Request& request = found->second;
  if (request.ended && told(request)) tell_ended(request, request.verdict);
  requests_.erase(found);
}

void Consumer::tell_ended(Request& request, Verdict verdict) {
  for (const TaskEvent& event : settled_events(std::move(*request.ended), verdict)) tell(request, event);
  request.ended.reset();
}

void Consumer::tell(const Request& request, const TaskEvent& event) {
  parts_.events->task(event.type, request.id(), event.fields, unix_now());
}

void Consumer::tell_received(const Message& message, const TaskHeaders& headers) {
  const ArgumentReprs reprs = argument_reprs(message, headers, accept_);
  const TaskEvent event = received_event(headers, reprs.args, reprs.kwargs);
  parts_.events->task(event.type, headers.id, event.fields, unix_now());
}

void Consumer::on_request(JobId job, TaskRequest&& asked, std::function<void(std::string)> reply) {
  const auto found = requests_.find(job);
  if (found == requests_.end()) {
    if (reply) reply("the task is not running any more");
    return;
  }
  const Request& request = found->second;
  if (auto* send = std::get_if<SendRequest>(&asked)) {
    Outgoing& out = send->outgoing;
    if (out.queue.empty()) {
      const auto headers = read_task(out.message, accept_);
      if (!headers) return reply(headers.error().cause);
      out.queue = route(headers->task, parts_.settings, parts_.app);
    }
    if (out.message.properties.routing_key.empty()) out.message.properties.routing_key = out.queue;
    ++writes_;
    parts_.broker.publish(std::move(out.message), [this, reply = std::move(reply)](const Status& status) {
      --writes_;
      reply(status.what);
      after_write();
    });
  } else if (auto* canvas = std::get_if<CanvasRequest>(&asked)) {
    ++writes_;
    canvas_.apply(*canvas, sender(request),
                  [this, job, reply = std::move(reply)](const std::string& error, const Json& children) {
                    --writes_;
                    const auto sender = requests_.find(job);
                    if (sender != requests_.end() && !children.empty())
                      sender->second.sent = joined(sender->second.sent, dump_json(children));
                    reply(error);
                    after_write();
                  });
  } else if (auto* unlock = std::get_if<UnlockRequest>(&asked)) {
    ++writes_;
    canvas_.unlock(*unlock, sender(request), [this, reply = std::move(reply)](const std::string& answer) {
      --writes_;
      reply(answer);
      after_write();
    });
  } else if (std::holds_alternative<CleanupRequest>(asked)) {
    ++writes_;
    parts_.stores.cleanup([this, reply = std::move(reply)](const Status& status) {
      --writes_;
      reply(status.what);
      after_write();
    });
  } else if (auto* update = std::get_if<StateRequest>(&asked)) {
    TaskResult result = row(request);
    result.status = std::move(update->state);
    result.result = std::move(update->meta);
    store_row(std::move(result));
  } else if (const auto* line = std::get_if<LogRequest>(&asked)) {
    const auto level = static_cast<LogLevel>(std::clamp(line->level, 1, 5));
    if (!log_enabled(level)) return;
    log(level, LogSource{process_of(request.pid), request.headers->task, request.id()}, line->text);
  }
}

canvas::Sender Consumer::sender(const Request& request) const {
  return canvas_.sender(*request.headers, request.message->properties.priority);
}

RunFacts Consumer::facts(const Request& request) const {
  RunFacts f;
  f.job = request.job;
  f.acked = request.settled;
  f.ignore_result = request.ignore_result;
  f.policy = request.policy;
  return f;
}

TaskResult Consumer::row(const Request& request) const {
  // An unregistered task has no function, hence no extended row, as in Celery.
  const bool extended = parts_.settings.result_extended && request.policy->task != nullptr;
  return result_row(request, extended, parts_.node, accept_);
}

DeadLetter Consumer::dead_letter(const Request& request, const std::string& category,
                                 const std::string& cause) const {
  DeadLetter letter;
  letter.category = category;
  letter.cause = cause;
  letter.task = request.headers->task;
  letter.task_id = request.id();
  letter.worker = parts_.node;
  letter.attempts = request.headers->retries + 1;
  return letter;
}

std::string_view Consumer::process_of(int pid) {
  if (pid == 0 || pid == ::getpid()) return "MainProcess";
  std::string& name = process_names_[pid];
  if (name.empty()) name = "ForkPoolWorker-" + std::to_string(process_names_.size());
  return name;
}

}  // namespace celeriac
