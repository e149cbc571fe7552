#include "queues/amqp/consumption.hpp"

#include "protocol/time.hpp"
#include "queues/amqp/dead_letters.hpp"
#include "queues/amqp/delayed_delivery.hpp"
#include "queues/amqp/pauses.hpp"
#include "queues/amqp/reply_codes.hpp"

#include <spdlog/spdlog.h>
#include <algorithm>
#include <boost/asio/post.hpp>

namespace celeriac::amqp {
namespace {

constexpr unsigned full_channel = 60000;  // deferred messages; then another channel is opened
constexpr std::size_t due_batch = 1024;
constexpr std::chrono::milliseconds grace{1000};  // for messages to come back after a reconnect
constexpr std::chrono::milliseconds longest_reopen_pause{5000};
constexpr std::chrono::milliseconds pause_look{5000};  // at the markers of paused queues
// A window's worth of messages with an ETA costs a round trip, for the server must hear of the new prefetch.
constexpr unsigned first_slack = 8, most_slack = 512;
// A server that was killed brings back messages without knowing that it had delivered them.
constexpr std::chrono::seconds unmarked_time{60};

}  // namespace

Consumption::Consumption(boost::asio::io_context& io, Connection& connection, Errands& errands,
                         Topology& topology, Publisher& publisher, Options options)
    : io_(io),
      connection_(connection),
      errands_(errands),
      topology_(topology),
      publisher_(publisher),
      options_(options),
      due_timer_(io),
      grace_timer_(io),
      reopen_timer_(io),
      pause_timer_(io) {}

// ---- life ----

void Consumption::prepare() {
  if (prepared_ || !consuming_ || !options_.detect_quorum || !options_.native_delayed) return;
  const auto quorum = [this](const std::string& queue) { return topology_.is_quorum(queue); };
  if (std::none_of(queues_.begin(), queues_.end(), quorum)) return;
  prepared_ = true;
  topology_.declare_delayed([] {});
}

void Consumption::up() {
  if (lost_.size() > 0) unmarked_until_ = std::chrono::steady_clock::now() + unmarked_time;
  if (consuming_) declare_queues();
}

ConsumingChannel* Consumption::open_channel(std::optional<unsigned> fixed_prefetch) {
  ConsumingChannel::Handlers handlers;
  handlers.on_delivery = [this](ConsumingChannel& channel, const std::string& queue, Incoming&& incoming) {
    delivered(channel, queue, std::move(incoming));
  };
  handlers.on_cancelled = [this](ConsumingChannel& channel, const std::string& queue) {
    spdlog::warn("queue '{}': the server ended our consumer (was the queue deleted?), declaring it again",
                 queue);
    if (channel.queues().empty()) channel.retire();
    topology_.forget(queue);
    declare_later(std::chrono::milliseconds(100));
  };
  handlers.on_closed = [this](ConsumingChannel& channel, int code, const std::string& text) {
    channel_closed(channel, code, text);
  };
  handlers.on_proven = [this] { turn_soon(); };
  auto channel = std::make_unique<ConsumingChannel>(connection_, fixed_prefetch, std::move(handlers));
  if (!channel->open()) {
    spdlog::error("RabbitMQ: no channel number is free, consuming later");
    declare_later(longest_reopen_pause);
    return nullptr;
  }
  channels_.push_back(std::move(channel));
  return channels_.back().get();
}

void Consumption::declare_later(std::chrono::milliseconds pause) {
  reopen_timer_.after(pause, [this] { declare_queues(); });
}

void Consumption::declare_queues() {
  if (paused_ || !connection_.ready()) return;
  for (const auto& queue : queues_) {
    if (!declaring_.insert(queue).second) continue;
    topology_.ensure(queue, [this, queue](const Topology::Queue& result) {
      if (closed_) return;
      if (!result.problem.empty()) {
        declaring_.erase(queue);
        if (connection_.ready()) spdlog::error("queue '{}' cannot be consumed: {}", queue, result.problem);
        if (declaring_.empty()) start_consumers();
        return;
      }
      if (result.quorum && options_.detect_quorum && options_.native_delayed) to_delay_.insert(queue);
      look_for_pause(queue);
    });
  }
  if (declaring_.empty()) start_consumers();
}

void Consumption::look_for_pause(const std::string& queue) {
  errands_.look_at_queue(pause_marker(queue), [this, queue](const Errands::Outcome& marker) {
    if (!closed_) pause_seen(queue, marker);
  });
}

void Consumption::look_for_pauses() {
  for (const auto& queue : queues_) look_for_pause(queue);
}

void Consumption::pause_seen(const std::string& queue, const Errands::Outcome& marker) {
  declaring_.erase(queue);
  if (marker.ok()) {
    if (held_back_.insert(queue).second) spdlog::info("queue '{}' is paused", queue);
  } else if (marker.code == not_found) {
    if (held_back_.erase(queue) != 0) spdlog::info("queue '{}' is resumed", queue);
  } else if (marker.code != -1 && !std::exchange(pauses_hidden_, true)) {
    spdlog::warn("whether queues are paused cannot be seen, so no pause is honoured: {}", marker.text);
  }
  // Markers may also go without a word: with the vhost's other queues, by hand.
  if (!held_back_.empty() && !paused_ && !pause_timer_.waiting())
    pause_timer_.after(pause_look, [this] {
      for (const auto& paused : std::set(held_back_)) look_for_pause(paused);
    });
  if (declaring_.empty()) start_consumers();
}

bool Consumption::takes(const std::string& queue) const {
  return topology_.knows(queue) && declaring_.count(queue) == 0 && held_back_.count(queue) == 0 &&
         std::find(queues_.begin(), queues_.end(), queue) != queues_.end();
}

// Only when every queue is known: one quorum queue decides how all of them prefetch.
void Consumption::start_consumers() {
  if (paused_ || !connection_.ready()) return;
  // What an operator has turned off in RabbitMQ 4, a prefetch for the whole channel, it takes for one of each
  // consumer without a word; quorum queues never had it.
  if (!per_consumer_ &&
      (connection_.session().server_major() >= 4 || (options_.detect_quorum && topology_.any_quorum()))) {
    per_consumer_ = true;
    spdlog::info("Global QoS is disabled: each consumer has its own prefetch count, which stays as it is");
    for (auto& channel : channels_) channel->retire();
  }
  stop_unwanted();
  if (!per_consumer_) {
    auto* channel = current();
    if (!channel) channel = open_channel(std::nullopt);
    if (!channel) return;
    channel->set_window(window_);
    for (const auto& queue : queues_)
      if (takes(queue)) channel->consume(queue);
  }
  adjust_prefetch();
  // Not before: these are a hundred declarations.
  for (const auto& queue : std::exchange(to_delay_, {})) topology_.ensure_delayed(queue, nullptr);
  grace_ = lost_.decided() > 0;
  if (grace_)
    grace_timer_.after(grace, [this] {
      grace_ = false;
      check_settled();
    });
  turn_soon();
}

void Consumption::stop_unwanted() {
  const auto unwanted = [this](const std::string& queue) {
    return held_back(queue) || std::find(queues_.begin(), queues_.end(), queue) == queues_.end();
  };
  for (auto& channel : channels_) {
    for (const auto& queue : channel->queues()) {
      if (!unwanted(queue)) continue;
      if (per_consumer_)
        channel->retire();  // closing it sets free what was on its way
      else
        channel->cancel(queue);
    }
  }
}

ConsumingChannel* Consumption::current() const {
  return channels_.empty() || channels_.back()->retired() ? nullptr : channels_.back().get();
}

void Consumption::down(const std::string& why) {
  // The server's way to say that a queue is of the quorum kind, when detection could not know.
  if (why.find("does not support global qos") != why.npos) per_consumer_ = true;
  declaring_.clear();
  to_delay_.clear();
  reopen_timer_.cancel();
  grace_timer_.cancel();
  pause_timer_.cancel();
  for (auto& channel : std::exchange(channels_, {})) {
    lose(*channel);
    gone_.push_back(std::move(channel));
  }
  turn_soon();
}

// Every delivery of this channel is void. What was begun goes on; the rest will come again.
void Consumption::lose(ConsumingChannel& channel) {
  for (const auto& acked : channel.unproven()) lost_.add(acked.tag, *acked.message, Verdict{});
  std::set<Tag> unseen;  // by the worker
  for (const Delivery& delivery : batch_)
    if (held_.at(delivery.tag).channel == &channel) unseen.insert(delivery.tag);
  std::erase_if(batch_, [&](const Delivery& delivery) { return unseen.count(delivery.tag) != 0; });
  std::vector<Tag> taken;
  for (auto held = held_.begin(); held != held_.end();) {
    if (held->second.channel != &channel) {
      ++held;
      continue;
    }
    if (held->second.deferred)
      --deferred_;
    else if (unseen.count(held->first) == 0)
      lost_.add(held->first, *held->second.message, std::nullopt);
    if (unseen.count(held->first) == 0) taken.push_back(held->first);
    held = held_.erase(held);
  }
  std::sort(taken.begin(), taken.end());
  if (!taken.empty() && handlers_.on_taken) handlers_.on_taken(std::move(taken));
}

void Consumption::channel_closed(ConsumingChannel& channel, int code, const std::string& text) {
  if (closed_) return;
  if (code == precondition_failed && text.find("delivery acknowledgement") != text.npos) {
    spdlog::warn(
        "RabbitMQ closed our channel because a message was not acknowledged within the server's "
        "consumer_timeout. "
        "Running tasks go on and are acknowledged when the message comes back. Raise consumer_timeout in "
        "rabbitmq.conf above the longest task and the longest ETA. ({})",
        text);
  } else {
    spdlog::error("RabbitMQ closed a channel, opening another: {} (AMQP code {})", text, code);
    for (const auto& queue : queues_) topology_.forget(queue);  // one of them may be gone
  }
  const bool consumed = !channel.retired();
  lose(channel);
  drop(channel);
  if (!consumed || !consuming_ || paused_) return;
  // A cause that persists must not make a busy loop.
  declare_later(reopen_pause_);
  reopen_pause_ = std::clamp(reopen_pause_ * 2, std::chrono::milliseconds(100), longest_reopen_pause);
}

void Consumption::drop(ConsumingChannel& channel) {
  const auto found = std::find_if(channels_.begin(), channels_.end(),
                                  [&](const auto& other) { return other.get() == &channel; });
  if (found == channels_.end()) return;
  gone_.push_back(std::move(*found));
  channels_.erase(found);
  turn_soon();
}

void Consumption::consume(std::vector<std::string> queues) {
  queues_ = std::move(queues);
  consuming_ = true;
  stop_unwanted();
  if (!reopen_timer_.waiting()) declare_queues();
}

void Consumption::set_window(unsigned window) {
  window_ = window;
  turn_soon();
}

void Consumption::pause() {
  paused_ = true;
  due_timer_.cancel();
  reopen_timer_.cancel();
  pause_timer_.cancel();
  for (auto& channel : channels_) channel->cancel_all();
}

std::size_t Consumption::leave() {
  pause();
  turn();
  const std::size_t count = held_.size();
  for (auto& channel : channels_) channel->close();
  held_.clear();
  batch_.clear();
  deferred_ = 0;
  due_.take_all();
  return count;
}

void Consumption::cancel() {
  closed_ = true;
  handlers_ = {};
  settled_.clear();
  for (Timer* timer : {&due_timer_, &grace_timer_, &reopen_timer_, &pause_timer_}) timer->cancel();
}

// ---- in ----

void Consumption::delivered(ConsumingChannel& channel, const std::string& queue, Incoming&& incoming) {
  reopen_pause_ = std::chrono::milliseconds(0);
  if (paused_ || held_back(queue)) return channel.reject(incoming.tag, true);
  // What came on top of the window and does not wait goes back, for others to take.
  if (slack_out_ && held_.size() - deferred_ >= window_ && !delayed::eta_of(incoming.message)) {
    slack_ = 0;
    turn_soon();
    return channel.reject(incoming.tag, true);
  }
  const Tag tag = ++last_tag_;
  auto message = std::make_shared<const Message>(std::move(incoming.message));
  bool redelivered = message->properties.redelivered;
  if (redelivered || (lost_.size() > 0 && std::chrono::steady_clock::now() < unmarked_until_)) {
    auto returned = lost_.returned(*message);
    if (returned.verdict)
      return apply(channel, incoming.tag, queue, tag, std::move(message), std::move(*returned.verdict));
    redelivered = redelivered || returned.known;
  }
  Delivery delivery;
  delivery.tag = tag;
  delivery.queue = queue;
  delivery.redelivered = redelivered;
  delivery.error = incoming.error;
  if (incoming.error.empty()) delivery.message = *message;
  batch_.push_back(std::move(delivery));
  held_.emplace(tag,
                Held{&channel, incoming.tag, std::move(message), queue, std::move(incoming.error), false});
  turn_soon();
}

// ---- settling ----

void Consumption::ack(Tag tag) {
  const auto found = held_.find(tag);
  if (found == held_.end()) {
    lost_.decide(tag, {});
    return turn_soon();
  }
  Held held = std::move(found->second);
  held_.erase(found);
  held.channel->ack(held.delivery, tag, std::move(held.message));
  turn_soon();
}

void Consumption::reject(Tag tag, Requeue requeue) {
  const auto found = held_.find(tag);
  if (found == held_.end()) {
    // Back in its queue is where it is already.
    if (requeue == Requeue::yes)
      lost_.forget(tag);
    else
      lost_.decide(tag, {Verdict::What::discard, {}});
    return turn_soon();
  }
  const Held held = std::move(found->second);
  held_.erase(found);
  held.channel->reject(held.delivery, requeue == Requeue::yes);
  turn_soon();
}

void Consumption::bury(Tag tag, DeadLetter why) {
  const auto found = held_.find(tag);
  if (found == held_.end()) {
    lost_.decide(tag, {Verdict::What::bury, std::move(why)});
    return turn_soon();
  }
  // Kept elsewhere first, then off the queue. Rejected, not acknowledged: where the queue has a
  // dead-letter exchange the message goes there too, as Celery's users expect.
  ++burying_;
  const auto message = found->second.message;
  publisher_.publish(
      dead_letter(found->second.queue, *message, why, unix_now()),
      [weak = weak_from_this(), tag, why](const Status& status) {
        auto self = weak.lock();
        if (!self || self->closed_) return;
        --self->burying_;
        if (!status.ok())
          spdlog::error("a dead letter of task {} could not be kept, its message goes back to the queue: {}",
                        why.task_id, status.what);
        self->reject(tag, status.ok() ? Requeue::no : Requeue::yes);
      });
}

void Consumption::apply(ConsumingChannel& channel, std::uint64_t delivery, const std::string& queue, Tag tag,
                        std::shared_ptr<const Message> message, Verdict verdict) {
  switch (verdict.what) {
    case Verdict::What::ack:
      channel.ack(delivery, tag, std::move(message));
      break;
    case Verdict::What::discard:
      channel.reject(delivery, false);
      break;
    case Verdict::What::bury:
      held_.emplace(tag, Held{&channel, delivery, std::move(message), queue, {}, false});
      bury(tag, std::move(verdict.why));
      break;
  }
  turn_soon();
}

// ---- deferring ----

void Consumption::defer(Tag tag, Clock::time_point due) {
  const auto found = held_.find(tag);
  if (found == held_.end()) return lost_.forget(tag);
  if (found->second.deferred) return;
  found->second.deferred = true;
  ++found->second.channel->deferred;
  ++deferred_;
  due_.add(due, tag);
  turn_soon();
}

void Consumption::deliver_due() {
  const auto tags = due_.take_due(Clock::now(), due_batch);
  for (const Tag tag : tags) {
    const auto found = held_.find(tag);
    if (found == held_.end() || !found->second.deferred) continue;  // lost with its channel
    Held& held = found->second;
    held.deferred = false;
    --held.channel->deferred;
    --deferred_;
    if (held_back(held.queue)) {
      reject(tag, Requeue::yes);
      continue;
    }
    Delivery delivery;
    delivery.tag = tag;
    delivery.queue = held.queue;
    delivery.deferred = true;
    delivery.redelivered = held.message->properties.redelivered;
    delivery.message = *held.message;
    batch_.push_back(std::move(delivery));
  }
  if (tags.size() == due_batch) turn_soon();
  const auto next = due_.next_due();
  if (!next) return due_timer_.cancel();
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(*next - Clock::now());
  due_timer_.after(std::clamp(wait, std::chrono::milliseconds(0), std::chrono::milliseconds(60000)),
                   [this] { turn_soon(); });
}

// ---- once a turn ----

void Consumption::turn_soon() {
  if (std::exchange(turn_posted_, true)) return;
  boost::asio::post(io_, [weak = weak_from_this()] {
    auto self = weak.lock();
    if (!self || self->closed_) return;
    self->turn();
  });
}

void Consumption::turn() {
  turn_posted_ = false;
  gone_.clear();
  if (!paused_) deliver_due();
  if (!batch_.empty() && !paused_ && handlers_.on_deliveries) {
    // The worker settles and defers in there; that belongs to this turn.
    turn_posted_ = true;
    const std::size_t came = batch_.size(), before = deferred_;
    handlers_.on_deliveries(std::exchange(batch_, {}));
    turn_posted_ = false;
    slack_ = deferred_ >= before + came ? std::clamp(slack_ * 2, first_slack, most_slack) : 0;
    slack_out_ = slack_ > 0 || (slack_out_ && held_.size() - deferred_ >= window_);
    deliver_due();  // what was deferred to a moment that has passed
    if (!batch_.empty()) turn_soon();
  }
  adjust_prefetch();
  for (auto& channel : channels_) channel->settle();
  for (std::size_t i = 0; i < channels_.size();) {
    auto& channel = *channels_[i];
    if (channel.retired() && channel.held() == 0 && channel.all_proven()) {
      channel.close();
      drop(channel);
    } else {
      ++i;
    }
  }
  check_settled();
}

void Consumption::adjust_prefetch() {
  if (paused_ || !connection_.ready()) return;
  if (per_consumer_) {
    for (const auto& queue : queues_)
      if (takes(queue)) fit_channels(queue);
    return;
  }
  auto* channel = current();
  if (!channel) return;
  if (window_ != 0 && channel->deferred > full_channel) {
    channel->retire();
    return start_consumers();
  }
  std::size_t elsewhere = 0;  // of the window, held on retired channels
  for (std::size_t i = 0; i + 1 < channels_.size(); ++i)
    elsewhere += channels_[i]->held() - channels_[i]->deferred;
  if (window_ != 0 && elsewhere > 0)
    channel->set_window(static_cast<unsigned>(window_ > elsewhere ? window_ - elsewhere : 1));
  else
    channel->set_window(window_ == 0 ? 0 : window_ + slack_);
}

// A quorum queue's consumer keeps its prefetch for life, and what is on its way to one that is cancelled
// RabbitMQ 3.10 keeps from everybody until the channel closes. So each has a channel of its own, none is
// replaced, and where waiting messages use up the room another comes beside it, for as long as it holds
// something.
void Consumption::fit_channels(const std::string& queue) {
  std::size_t room = 0, deferred = 0;
  ConsumingChannel* youngest = nullptr;
  for (auto& channel : channels_) {
    if (!channel->consumes(queue)) continue;
    room += channel->window();
    deferred += channel->deferred;
    youngest = channel.get();
  }
  if (window_ == 0 && youngest) return;
  const std::size_t need = window_ + deferred;
  if (!youngest || room < need) {
    const std::size_t more = std::max({std::size_t{window_}, need - std::min(need, room), deferred / 4});
    const auto prefetch = static_cast<unsigned>(std::min<std::size_t>(more, ConsumingChannel::most_prefetch));
    if (auto* channel = reopen_timer_.waiting() ? nullptr : open_channel(prefetch)) channel->consume(queue);
  } else if (room - youngest->window() >= need && youngest->held() == 0 && youngest->all_proven()) {
    youngest->close();  // what is on its way goes back
    drop(*youngest);
  }
}

void Consumption::when_settled(std::function<void()> then) {
  settled_.push_back(std::move(then));
  turn_soon();
}

void Consumption::check_settled() {
  if (settled_.empty()) return;
  const bool busy = consuming_ && !paused_;
  if (busy && !connection_.ready()) return;
  if (burying_ > 0) return;
  for (const auto& channel : channels_)
    if (!channel->all_proven()) return;
  const bool starting =
      std::all_of(channels_.begin(), channels_.end(), [](const auto& channel) { return channel->retired(); });
  const bool some = std::any_of(queues_.begin(), queues_.end(),
                                [this](const std::string& queue) { return !held_back(queue); });
  if (lost_.decided() > 0 && busy && some && (grace_ || starting || !declaring_.empty())) return;
  for (auto& then : std::exchange(settled_, {})) then();
}

std::size_t Consumption::held(const std::string& queue) const {
  std::size_t count = 0;
  for (const auto& [tag, held] : held_) count += held.queue == queue && !held.deferred;
  return count;
}

std::size_t Consumption::deferred(const std::string& queue) const {
  std::size_t count = 0;
  for (const auto& [tag, held] : held_) count += held.queue == queue && held.deferred;
  return count;
}

}  // namespace celeriac::amqp
