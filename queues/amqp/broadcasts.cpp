#include "queues/amqp/broadcasts.hpp"

#include "queues/amqp/field_table.hpp"
#include "queues/amqp/pauses.hpp"
#include "queues/amqp/reply_codes.hpp"

#include <spdlog/spdlog.h>

namespace celeriac::amqp {
namespace {

constexpr std::chrono::milliseconds retry_pause{1000};
constexpr std::size_t most_waiting = 1000;

}  // namespace

Subscriptions::Subscriptions(boost::asio::io_context& io, Connection& connection, Errands& errands,
                             Topology& topology, MailboxKinds kinds)
    : connection_(connection), errands_(errands), topology_(topology), kinds_(kinds), retry_timer_(io) {}

// AMQP's "*" and "#" are what the seam's patterns mean already.

void Subscriptions::subscribe(std::string exchange, std::string pattern, std::string queue,
                              OnMessage on_message) {
  add({std::move(exchange), std::move(pattern), std::move(queue), std::move(on_message), nullptr});
}

void Subscriptions::open_inbox(std::string queue, std::string exchange, std::string routing_key,
                               OnMessage on_message, Done ready) {
  add({std::move(exchange), std::move(routing_key), std::move(queue), std::move(on_message),
       std::move(ready)});
}

void Subscriptions::add(Mailbox mailbox) {
  const std::string queue = mailbox.queue;
  mailboxes_[queue] = std::move(mailbox);
  if (connection_.ready()) declare(queue);
}

void Subscriptions::close_inbox(const std::string& queue) {
  if (mailboxes_.erase(queue) == 0) return;
  if (connection_.ready()) errands_.delete_queue(queue, nullptr);
}

void Subscriptions::up() {
  for (const auto& [queue, mailbox] : std::map(mailboxes_)) declare(queue);
}

void Subscriptions::down() {
  channel_.reset();
  retry_timer_.cancel();
  retry_.clear();
  retried_.clear();
}

void Subscriptions::give_up(const std::string& why) {
  down();
  for (auto& [queue, mailbox] : mailboxes_)
    if (auto ready = std::exchange(mailbox.ready, nullptr)) ready(Status{why});
}

void Subscriptions::cancel() {
  retry_timer_.cancel();
  missed_ = nullptr;
  mailboxes_.clear();
}

QueueSpec Subscriptions::spec(const std::string& queue, const std::string& exchange) const {
  QueueSpec spec;
  spec.name = queue;
  spec.durable = false;
  spec.exclusive = true;
  spec.auto_delete = true;
  if (exchange == pause_exchange) return spec;
  const MailboxKind& kind = broadcast_exchange(exchange).durable ? kinds_.events : kinds_.control;
  spec.durable = kind.durable;
  spec.auto_delete = !kind.durable;
  spec.exclusive = kind.exclusive || (!kind.durable && connection_.session().server_major() >= 4);
  if (kind.message_ttl) spec.arguments["x-message-ttl"] = *kind.message_ttl;
  if (kind.expires) spec.arguments["x-expires"] = *kind.expires;
  return spec;
}

void Subscriptions::declare(const std::string& queue) {
  const auto found = mailboxes_.find(queue);
  if (found == mailboxes_.end()) return;
  const std::string exchange = found->second.exchange, key = found->second.key;
  topology_.ensure_exchange(exchange, [] {});
  errands_.declare_queue(
      spec(queue, exchange), [this, queue, exchange, key](const Errands::Outcome& outcome) {
        if (outcome.code == resource_locked) {
          // A connection of ours that the server has not yet missed, or another node of the same name.
          spdlog::warn("the queue '{}' belongs to another connection, trying again: {}", queue, outcome.text);
          return retry_later(queue);
        }
        // 406: somebody made it otherwise, a Celery worker of this name perhaps; it serves as well.
        if (!outcome.ok() && outcome.code != precondition_failed) {
          if (outcome.code != -1) spdlog::error("the queue '{}' cannot be declared: {}", queue, outcome.text);
          if (const auto mailbox = mailboxes_.find(queue); mailbox != mailboxes_.end())
            if (auto ready = std::exchange(mailbox->second.ready, nullptr)) ready(Status{outcome.text});
          return;
        }
        errands_.bind_queue({queue, exchange, key}, [this, queue](const Errands::Outcome& bound) {
          if (bound.code == -1) return;
          if (!bound.ok()) {
            spdlog::error("the queue '{}' cannot be bound: {}", queue, bound.text);
            return retry_later(queue);
          }
          consume(queue);
        });
      });
}

void Subscriptions::retry_later(const std::string& queue) {
  retry_.insert(queue);
  retry_timer_.after(retry_pause, [this] {
    for (const auto& name : std::exchange(retry_, {})) {
      retried_.insert(name);
      declare(name);
    }
  });
}

void Subscriptions::consume(const std::string& queue) {
  const auto found = mailboxes_.find(queue);
  if (found == mailboxes_.end() || !connection_.ready()) return;
  Session& session = connection_.session();
  if (!channel_) channel_ = session.open_channel(*this);
  if (!channel_) return retry_later(queue);
  amqp_basic_consume_t consume{};
  consume.queue = bytes(queue);
  consume.consumer_tag = bytes(queue);
  consume.no_ack = true;
  session.call(*channel_, AMQP_BASIC_CONSUME_METHOD, &consume, AMQP_BASIC_CONSUME_OK_METHOD,
               [this, queue](const amqp_method_t&) {
                 const auto mailbox = mailboxes_.find(queue);
                 if (mailbox == mailboxes_.end()) return;
                 if (auto ready = std::exchange(mailbox->second.ready, nullptr)) ready(Status{});
                 if (retried_.erase(queue) != 0 && missed_) missed_();
               });
}

void Subscriptions::on_delivery(Incoming&& incoming) {
  const auto found = mailboxes_.find(incoming.consumer_tag);
  if (found == mailboxes_.end()) return;
  auto on_message = found->second.on_message;  // a copy: it may close the inbox
  on_message(std::move(incoming.message));
}

void Subscriptions::on_consumer_cancelled(const std::string& consumer_tag) {
  if (mailboxes_.count(consumer_tag)) retry_later(consumer_tag);
}

void Subscriptions::on_channel_closed(int code, const std::string& text) {
  spdlog::error("RabbitMQ closed the channel of remote control, opening another: {} (AMQP code {})", text,
                code);
  channel_.reset();
  for (const auto& [queue, mailbox] : mailboxes_) retry_later(queue);
}

// ---- out ----

bool Announcer::send(const Message& message) {
  if (!channel_ || !connection_.ready()) return false;
  if (!topology_.knows_exchange(message.properties.exchange)) {
    if (waiting_.size() >= most_waiting) return false;
    waiting_.push_back(message);
    topology_.ensure_exchange(message.properties.exchange, [this] { send_waiting(); });
    return true;
  }
  auto sent = connection_.session().publish(*channel_, message.properties.exchange,
                                            message.properties.routing_key, false, message);
  if (!sent)
    spdlog::error("a broadcast to '{}' cannot be sent: {}", message.properties.exchange, sent.error().what);
  return true;
}

void Announcer::send_waiting() {
  std::deque<Message> waiting = std::exchange(waiting_, {});
  for (auto& message : waiting) {
    if (topology_.knows_exchange(message.properties.exchange))
      send(message);
    else
      waiting_.push_back(std::move(message));
  }
}

void Announcer::up() { channel_ = connection_.session().open_channel(*this); }

void Announcer::down() {
  channel_.reset();
  waiting_.clear();
}

void Announcer::on_channel_closed(int code, const std::string& text) {
  spdlog::warn("RabbitMQ closed the channel of broadcasts, opening another: {} (AMQP code {})", text, code);
  channel_.reset();
  topology_.down();  // the exchange may have been deleted
  if (connection_.ready()) up();
}

}  // namespace celeriac::amqp
