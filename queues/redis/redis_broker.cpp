#include "queues/redis/redis_broker.hpp"

#include "protocol/envelope.hpp"
#include "protocol/uuid.hpp"
#include "queues/redis/redis_broker_impl.hpp"
#include "queues/redis/scripts.hpp"

#include <spdlog/spdlog.h>
#include <unistd.h>
#include <algorithm>
#include <boost/asio/ip/host_name.hpp>
#include <boost/asio/post.hpp>
#include <cmath>

namespace celeriac::redis {
namespace {

constexpr std::size_t most_unsent_bytes = 256u << 20;  // of publishes while there is no connection

std::string make_owner() {
  std::string id;
  for (char c : uuid4())
    if (c != '-') id += c;
  return id.substr(0, 20);
}

std::string describe_us() {
  boost::system::error_code unknown;
  return boost::asio::ip::host_name(unknown) + "/" + std::to_string(getpid());
}

RecoveryOptions recovery_options(const RedisOptions& redis, const std::string& owner) {
  RecoveryOptions options;
  options.owner = owner;
  options.description = describe_us();
  options.lease = redis.lease;
  options.visibility_timeout = redis.visibility_timeout;
  options.mutex_expire = redis.unacked_mutex_expire;
  return options;
}

}  // namespace

RedisBroker::Impl::Impl(boost::asio::io_context& io, BrokerOptions options)
    : io_(io),
      options_(std::move(options)),
      keys_(options_.redis),
      owner_(make_owner()),
      connection_(io, options_.connection),
      outbox_(connection_),
      router_(outbox_, keys_),
      restorer_(outbox_, router_, keys_),
      retries_(io),
      inspector_(outbox_, keys_),
      holdings_(keys_, owner_),
      large_(io, options_.connection, keys_, holdings_),
      broadcasts_(io, options_.connection, connection_, outbox_, keys_),
      recovery_(io, connection_, outbox_, restorer_, keys_, recovery_options(options_.redis, owner_),
                {.on_renewed = [this](bool held, bool taken) { lease_renewed(held, taken); },
                 .on_recovered =
                     [](const std::string& owner, std::size_t restored) {
                       spdlog::warn("Worker {} is gone: gave back its {} message(s)", owner, restored);
                     },
                 .on_swept =
                     [](std::size_t restored) {
                       spdlog::warn("Gave back {} message(s) held longer than the visibility timeout",
                                    restored);
                     }}),
      poll_timer_(io),
      linger_timer_(io),
      due_timer_(io),
      score_timer_(io),
      lost_timer_(io),
      settle_timer_(io),
      stop_timer_(io) {}

// ---- life ----

void RedisBroker::Impl::start(Handlers handlers) {
  handlers_ = std::move(handlers);
  restorer_.on_restored = [this] { changed({}); };
  restorer_.on_refused = [this](RestoreOrder order, std::string_view error) {
    const auto bytes = order.fields.size() * 64;
    retries_.add("take messages back", error, bytes,
                 [this, order = std::move(order)] { restorer_.restore(order, nullptr); });
  };
  if (handlers_.on_state) {
    boost::asio::post(io_, [self = shared_from_this()] {
      if (!self->closed_ && !self->connection_.ready() && self->handlers_.on_state)
        self->handlers_.on_state(BrokerState::connecting, {});
    });
  }
  Connection::Handlers events;
  events.on_up = [this] { up(); };
  events.on_down = [this](std::string why) { down(std::move(why)); };
  events.on_failed = [this](std::string why) { failed(std::move(why)); };
  connection_.start(std::move(events));
}

void RedisBroker::Impl::up() {
  connection_.send(scripts().load(), nullptr);
  if (consuming_) recovery_.connected();
  outbox_.resend();
  if (lost_claim_) look_for_lost_claim();
  if (wakeup_) wakeup_->commands_up();
  exhausted_ = false;
  forget_empty();
  last_claim_answer_ = std::chrono::steady_clock::now();
  if (handlers_.on_state) handlers_.on_state(BrokerState::connected, {});
  consider_claim();
}

void RedisBroker::Impl::down(std::string why) {
  recovery_.disconnected();
  if (wakeup_) wakeup_->commands_down();
  if (handlers_.on_state) handlers_.on_state(BrokerState::lost, std::move(why));
}

void RedisBroker::Impl::failed(std::string why) {
  outbox_.give_up();
  if (handlers_.on_state) handlers_.on_state(BrokerState::failed, std::move(why));
  if (stop_done_) stopped(0);
}

void RedisBroker::Impl::consume(std::vector<std::string> queues) {
  const bool first = !consuming_;
  queues_ = std::move(queues);
  arrange_lists();
  for (auto& queue : queues_) inspector_.declare(queue, nullptr);
  consuming_ = true;
  exhausted_ = false;
  if (first) {
    wakeup_.emplace(io_, options_.connection, connection_, [this](std::string_view key) { told_of(key); });
    wakeup_->start();
    if (connection_.ready()) recovery_.connected();
    keep_scores();
    poll();
  }
  consider_claim();
}

void RedisBroker::Impl::pause() {
  paused_ = true;
  linger_timer_.cancel();
  due_timer_.cancel();
}

void RedisBroker::Impl::stop(std::function<void(std::size_t)> done) {
  stop_done_ = std::move(done);
  stopping_ = true;
  pause();
  poll_timer_.cancel();
  if (wakeup_) wakeup_->close();
  broadcasts_.unbind();
  await_connection_to_stop(5);
  if (!claiming_) restore_all();
}

// Without a connection nothing can be given back; our lease runs out and a peer does it.
void RedisBroker::Impl::await_connection_to_stop(int seconds) {
  stop_timer_.after(std::chrono::seconds(1), [this, seconds] {
    if (connection_.ready()) return await_connection_to_stop(5);
    if (seconds <= 1) return stopped(0);
    await_connection_to_stop(seconds - 1);
  });
}

void RedisBroker::Impl::restore_all() {
  settle();
  retries_.now();
  auto tags = holdings_.tags();
  for (Tag tag : tags) holdings_.release(tag);
  auto deferred = due_.take_all();
  tags.insert(tags.end(), deferred.begin(), deferred.end());
  std::sort(tags.begin(), tags.end(), std::greater<>());
  RestoreOrder order;
  order.fields.reserve(tags.size());
  for (Tag tag : tags) order.fields.push_back(holdings_.field(tag));
  restorer_.restore(std::move(order), [this](std::size_t restored) {
    auto end = [this, restored] {
      // Publishes asked for before stop() are still on their way, perhaps through a look-up.
      outbox_.when_done([this, restored] { stopped(restored); });
    };
    if (consuming_)
      recovery_.resign(end);
    else
      end();
  });
}

void RedisBroker::Impl::stopped(std::size_t restored) {
  if (!stop_done_) return;
  // Later: the parts that call us here are still at work.
  boost::asio::post(io_, [self = shared_from_this(), restored] {
    auto done = std::exchange(self->stop_done_, nullptr);
    self->close();
    if (done) done(restored);
  });
}

void RedisBroker::Impl::close() {
  closed_ = true;
  connection_.close();
  large_.close();
  if (wakeup_) wakeup_->close();
  broadcasts_.close();
  recovery_.disconnected();
  for (Timer* timer :
       {&poll_timer_, &linger_timer_, &due_timer_, &score_timer_, &lost_timer_, &settle_timer_, &stop_timer_})
    timer->cancel();
  retries_.cancel();
  handlers_ = {};
}

// ---- lease ----

// kombu's sweep takes what is older than the visibility timeout: what we hold stays young. Another
// application on the same server may have a shorter timeout than we, hence the cap.
void RedisBroker::Impl::keep_scores() {
  const double interval = std::clamp(options_.redis.visibility_timeout / 4, 0.25, 20.0);
  score_timer_.after(std::chrono::milliseconds(std::llround(interval * 1000)), [this] {
    auto request = holdings_.renew(holdings_.tags(), Clock::now());
    connection_.send(request, nullptr);  // lost or refused: the next one comes soon
    keep_scores();
  });
}

void RedisBroker::Impl::lease_renewed(bool held, bool taken) {
  const bool lapsed = had_lease_ && !held;
  had_lease_ = true;
  if (lapsed || taken) {
    std::string what = taken ? "our lease ran out and others took our messages over"
                             : "our lease ran out, but nobody took our messages over";
    spdlog::warn("Redis broker: {}", what);
    if (handlers_.on_state) handlers_.on_state(BrokerState::connected, std::move(what));
  }
  if (taken) look_for_taken();
  consider_claim();
}

void RedisBroker::Impl::look_for_taken() {
  auto tags = std::make_shared<std::vector<Tag>>(holdings_.tags());
  if (tags->empty()) return;
  std::sort(tags->begin(), tags->end());
  Request request;
  request.add("MULTI");
  for (Tag tag : *tags) request.add("HEXISTS", keys_.unacked, holdings_.field(tag));
  request.add("EXEC");
  outbox_.send(std::move(request), [this, tags](Reply reply) {
    std::vector<Tag> taken;
    for (std::size_t i = 0; i < reply.size(); ++i)
      if (reply[i].integer() == 0 && holdings_.release((*tags)[i])) taken.push_back((*tags)[i]);
    if (!taken.empty() && handlers_.on_taken) handlers_.on_taken(std::move(taken));
    consider_claim();
  });
}

// ---- settling ----

// In the next turn of the loop, not this one: results go out first. A client waits for those, and
// nobody for an ack.
void RedisBroker::Impl::settle_soon() {
  settle_awaited_ = true;
  after_this_turn();
}

// A task that ends at once sends its result before its early acknowledgement: the server has one thread.
void RedisBroker::Impl::after_this_turn() {
  if (settle_posted_) return;
  settle_posted_ = true;
  boost::asio::post(io_, [weak = weak_from_this(), &io = io_] {
    boost::asio::post(io, [weak] {
      auto self = weak.lock();
      if (!self || self->closed_) return;
      self->settle_posted_ = false;
      if (self->settle_awaited_ || self->holdings_.settled() >= few_messages)
        self->settle();
      else if (!self->settle_timer_.waiting())
        self->settle_timer_.after(linger, [impl = self.get()] { impl->settle(); });
      self->consider_claim();
    });
  });
}

void RedisBroker::Impl::settle() {
  settle_awaited_ = false;
  settle_timer_.cancel();
  auto request = holdings_.settle();
  if (request.empty()) return;
  insist(std::make_shared<const Request>(std::move(request)), "settle messages");
}

void RedisBroker::Impl::insist(std::shared_ptr<const Request> request, std::string_view what) {
  outbox_.send(*request, [this, request, what](Reply reply) {
    if (reply.is_error())
      retries_.add(what, reply.text(), request->bytes().size(),
                   [this, request, what] { insist(request, what); });
  });
}

void RedisBroker::Impl::ack(Tag tag) {
  auto held = holdings_.release(tag);
  if (!held) return;
  holdings_.acked(tag, *held);
  settle_soon();
}

void RedisBroker::Impl::ack_begun(Tag tag) {
  auto held = holdings_.release(tag);
  if (!held) return;
  holdings_.acked(tag, *held);
  after_this_turn();
}

void RedisBroker::Impl::reject(Tag tag, Requeue requeue) {
  if (requeue == Requeue::no) return ack(tag);
  if (!holdings_.release(tag)) return;
  RestoreOrder order;
  order.fields.push_back(holdings_.field(tag));
  order.to_the_back = true;
  restorer_.restore(std::move(order), nullptr);
  settle_soon();
}

void RedisBroker::Impl::release(Tag tag) {
  if (!holdings_.release(tag)) return;
  RestoreOrder order;
  order.fields.push_back(holdings_.field(tag));
  order.untouched = true;
  restorer_.restore(std::move(order), nullptr);
  settle_soon();
}

void RedisBroker::Impl::bury(Tag tag, DeadLetter why) {
  auto held = holdings_.release(tag);
  if (!held) return;
  const auto field = holdings_.field(tag);
  auto request = std::make_shared<Request>();
  std::string attempts = why.attempts ? std::to_string(*why.attempts) : std::string();
  request->add("EVALSHA", scripts().bury.sha, 6, keys_.unacked, keys_.unacked_index, keys_.unreadable,
               keys_.dead, keys_.dead_of_queue(held->queue), keys_.dead_letter(field), field,
               unacked_tail(held->queue).size(), score_text(Clock::now()), "queue", held->queue, "category",
               why.category, "cause", why.cause, "task", why.task, "task_id", why.task_id, "worker",
               why.worker, "attempts", attempts);
  insist(std::move(request), "keep a dead letter");
  settle_soon();
}

void RedisBroker::Impl::defer(Tag tag, Clock::time_point due) {
  if (!holdings_.release(tag)) return;
  holdings_.deferred(tag, due);
  due_.add(due, tag);
  schedule_due();
  settle_soon();
}

// ---- publishing ----

void RedisBroker::Impl::publish(Message message, Done done) {
  if (outbox_.waiting_bytes() > most_unsent_bytes) {
    boost::asio::post(io_, [done = std::move(done)] {
      if (done) done(Status{"too much is waiting for the connection to Redis"});
    });
    return;
  }
  const int priority = message.properties.priority.value_or(0);
  auto answered = [done = std::move(done)](Reply reply) {
    if (done) done(Status{reply.problem()});
  };
  if (message.properties.exchange.empty()) {
    Request request;
    const auto list = keys_.list_for_priority(message.properties.routing_key, priority);
    request.add("LPUSH", list, encode_envelope(message));
    outbox_.send(std::move(request), std::move(answered));
    return changed(list);
  }
  const auto operation = outbox_.begin();
  auto exchange = message.properties.exchange, key = message.properties.routing_key;
  router_.route(exchange, key,
                [this, operation, priority, payload = encode_envelope(message),
                 answered = std::move(answered), exchange, key](const std::vector<std::string>& queues) {
                  // kombu drops such a message without a word.
                  if (queues.empty()) {
                    spdlog::warn("no queue is bound to exchange '{}' for '{}'", exchange, key);
                    outbox_.end(operation);
                    Request nothing;
                    nothing.add("PING");
                    return outbox_.send(std::move(nothing), answered);
                  }
                  Request request;
                  request.add("MULTI");
                  for (auto& queue : queues)
                    request.add("LPUSH", keys_.list_for_priority(queue, priority), payload);
                  request.add("EXEC");
                  outbox_.send(std::move(request), answered);
                  for (auto& queue : queues) changed(keys_.list_for_priority(queue, priority));
                  outbox_.end(operation);
                });
}

void RedisBroker::Impl::flush(Done done) {
  settle();
  outbox_.when_done([done = std::move(done)] {
    if (done) done(Status{});
  });
}

// ---- the public face ----

RedisBroker::RedisBroker(boost::asio::io_context& io, BrokerOptions options)
    : impl_(std::make_shared<Impl>(io, std::move(options))) {}
RedisBroker::~RedisBroker() { impl_->close(); }

void RedisBroker::start(Handlers handlers) { impl_->start(std::move(handlers)); }
void RedisBroker::consume(std::vector<std::string> queues) { impl_->consume(std::move(queues)); }
void RedisBroker::set_window(unsigned window) {
  impl_->policy_.set_window(window);
  impl_->settle_soon();
}
void RedisBroker::pause() { impl_->pause(); }
void RedisBroker::ack(Tag tag) { impl_->ack(tag); }
void RedisBroker::ack_begun(Tag tag) { impl_->ack_begun(tag); }
void RedisBroker::reject(Tag tag, Requeue requeue) { impl_->reject(tag, requeue); }
void RedisBroker::release(Tag tag) { impl_->release(tag); }
void RedisBroker::bury(Tag tag, DeadLetter why) { impl_->bury(tag, std::move(why)); }
void RedisBroker::defer(Tag tag, Clock::time_point due) { impl_->defer(tag, due); }
void RedisBroker::publish(Message message, Done done) { impl_->publish(std::move(message), std::move(done)); }
void RedisBroker::flush(Done done) { impl_->flush(std::move(done)); }
void RedisBroker::ping(Done done) {
  Request request;
  request.add("PING");
  impl_->outbox_.send(std::move(request),
                      [done = std::move(done)](const Reply& reply) { done(Status{reply.problem()}); });
}
void RedisBroker::stop(std::function<void(std::size_t)> done) { impl_->stop(std::move(done)); }
void RedisBroker::inspect(std::vector<std::string> queues,
                          std::function<void(Expected<std::vector<QueueInfo>>)> done) {
  impl_->inspector_.inspect(std::move(queues), std::move(done));
}
void RedisBroker::purge(std::string queue, std::function<void(Expected<std::uint64_t>)> done) {
  impl_->inspector_.purge(queue, std::move(done));
}
void RedisBroker::declare(std::string queue, Done done) { impl_->inspector_.declare(queue, std::move(done)); }
void RedisBroker::subscribe(std::string exchange, std::string pattern, std::string queue,
                            OnMessage on_message) {
  impl_->broadcasts_.subscribe(std::move(exchange), std::move(pattern), std::move(queue),
                               std::move(on_message));
}
bool RedisBroker::broadcast(const Message& message) { return impl_->broadcasts_.send(message); }
void RedisBroker::open_inbox(std::string queue, std::string exchange, std::string routing_key,
                             OnMessage on_message, Done ready) {
  impl_->broadcasts_.open_inbox(std::move(queue), std::move(exchange), std::move(routing_key),
                                std::move(on_message), std::move(ready));
}
void RedisBroker::close_inbox(std::string queue) { impl_->broadcasts_.close_inbox(queue); }
std::string RedisBroker::display_url() const { return impl_->options_.display_url; }
const std::string& RedisBroker::owner() const { return impl_->owner_; }

}  // namespace celeriac::redis
