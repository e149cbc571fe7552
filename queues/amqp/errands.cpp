#include "queues/amqp/errands.hpp"

#include "queues/amqp/field_table.hpp"
#include "queues/amqp/reply_codes.hpp"

#include <utility>

namespace celeriac::amqp {
namespace {

using Reply = std::function<void(Errands::Outcome)>;

Errands::Outcome counts(const amqp_method_t& method) {
  Errands::Outcome outcome;
  if (method.id == AMQP_QUEUE_DECLARE_OK_METHOD) {
    const auto& ok = *static_cast<const amqp_queue_declare_ok_t*>(method.decoded);
    outcome.messages = ok.message_count;
    outcome.consumers = ok.consumer_count;
  } else if (method.id == AMQP_QUEUE_PURGE_OK_METHOD) {
    outcome.messages = static_cast<const amqp_queue_purge_ok_t*>(method.decoded)->message_count;
  } else if (method.id == AMQP_QUEUE_DELETE_OK_METHOD) {
    outcome.messages = static_cast<const amqp_queue_delete_ok_t*>(method.decoded)->message_count;
  }
  return outcome;
}

void ask(Session& session, ChannelId channel, amqp_method_number_t method, void* arguments,
         amqp_method_number_t expected, Reply reply) {
  session.call(channel, method, arguments, expected,
               [reply = std::move(reply)](const amqp_method_t& answer) { reply(counts(answer)); });
}

}  // namespace

void Errands::up() {
  given_up_ = false;
  next();
}

void Errands::down() {
  channel_.reset();
  if (running_) waiting_.push_front(std::move(*running_));
  running_.reset();
}

void Errands::give_up(const std::string& why) {
  down();
  given_up_ = true;
  for (auto& errand : std::exchange(waiting_, {}))
    if (errand.done) errand.done({-1, why});
}

void Errands::on_channel_closed(int code, const std::string& text) {
  channel_.reset();
  Outcome outcome;
  outcome.code = code;
  outcome.text = text;
  finish(std::move(outcome));
}

void Errands::add(Ask ask, Done done) {
  if (given_up_) {
    if (done) done({-1, "there is no connection to the broker"});
    return;
  }
  waiting_.push_back({std::move(ask), std::move(done)});
  next();
}

void Errands::next() {
  if (running_ || waiting_.empty() || !connection_.ready()) return;
  Session& session = connection_.session();
  if (!channel_) channel_ = session.open_channel(*this);
  if (!channel_) return;  // all channel numbers are in use: the next errand tries again
  running_ = std::move(waiting_.front());
  waiting_.pop_front();
  running_->ask(session, *channel_, [this](Outcome outcome) { finish(std::move(outcome)); });
}

void Errands::finish(Outcome outcome) {
  if (!running_) return;
  auto done = std::move(running_->done);
  running_.reset();
  if (done) done(outcome);
  next();
}

void Errands::declare_queue(QueueSpec spec, Done done) {
  add(
      [spec = std::move(spec)](Session& session, ChannelId channel, Reply reply) {
        FieldTable arguments;
        if (auto made = arguments.assign(spec.arguments); !made)
          return reply({precondition_failed, made.error().what});
        amqp_queue_declare_t declare{};
        declare.queue = bytes(spec.name);
        declare.durable = spec.durable;
        declare.exclusive = spec.exclusive;
        declare.auto_delete = spec.auto_delete;
        declare.arguments = arguments.table();
        ask(session, channel, AMQP_QUEUE_DECLARE_METHOD, &declare, AMQP_QUEUE_DECLARE_OK_METHOD,
            std::move(reply));
      },
      std::move(done));
}

void Errands::look_at_queue(std::string name, Done done) {
  add(
      [name = std::move(name)](Session& session, ChannelId channel, Reply reply) {
        amqp_queue_declare_t declare{};
        declare.queue = bytes(name);
        declare.passive = true;
        ask(session, channel, AMQP_QUEUE_DECLARE_METHOD, &declare, AMQP_QUEUE_DECLARE_OK_METHOD,
            std::move(reply));
      },
      std::move(done));
}

void Errands::look_at_exchange(std::string name, Done done) {
  add(
      [name = std::move(name)](Session& session, ChannelId channel, Reply reply) {
        amqp_exchange_declare_t declare{};
        declare.exchange = bytes(name);
        declare.passive = true;
        ask(session, channel, AMQP_EXCHANGE_DECLARE_METHOD, &declare, AMQP_EXCHANGE_DECLARE_OK_METHOD,
            std::move(reply));
      },
      std::move(done));
}

void Errands::declare_exchange(ExchangeSpec spec, Done done) {
  add(
      [spec = std::move(spec)](Session& session, ChannelId channel, Reply reply) {
        amqp_exchange_declare_t declare{};
        declare.exchange = bytes(spec.name);
        declare.type = bytes(spec.type);
        declare.durable = spec.durable;
        declare.auto_delete = spec.auto_delete;
        ask(session, channel, AMQP_EXCHANGE_DECLARE_METHOD, &declare, AMQP_EXCHANGE_DECLARE_OK_METHOD,
            std::move(reply));
      },
      std::move(done));
}

void Errands::bind_queue(Binding binding, Done done) {
  add(
      [binding = std::move(binding)](Session& session, ChannelId channel, Reply reply) {
        amqp_queue_bind_t bind{};
        bind.queue = bytes(binding.destination);
        bind.exchange = bytes(binding.source);
        bind.routing_key = bytes(binding.routing_key);
        ask(session, channel, AMQP_QUEUE_BIND_METHOD, &bind, AMQP_QUEUE_BIND_OK_METHOD, std::move(reply));
      },
      std::move(done));
}

void Errands::bind_exchange(Binding binding, Done done) {
  add(
      [binding = std::move(binding)](Session& session, ChannelId channel, Reply reply) {
        amqp_exchange_bind_t bind{};
        bind.destination = bytes(binding.destination);
        bind.source = bytes(binding.source);
        bind.routing_key = bytes(binding.routing_key);
        ask(session, channel, AMQP_EXCHANGE_BIND_METHOD, &bind, AMQP_EXCHANGE_BIND_OK_METHOD,
            std::move(reply));
      },
      std::move(done));
}

void Errands::purge_queue(std::string name, Done done) {
  add(
      [name = std::move(name)](Session& session, ChannelId channel, Reply reply) {
        amqp_queue_purge_t purge{};
        purge.queue = bytes(name);
        ask(session, channel, AMQP_QUEUE_PURGE_METHOD, &purge, AMQP_QUEUE_PURGE_OK_METHOD, std::move(reply));
      },
      std::move(done));
}

void Errands::delete_queue(std::string name, Done done) {
  add(
      [name = std::move(name)](Session& session, ChannelId channel, Reply reply) {
        amqp_queue_delete_t remove{};
        remove.queue = bytes(name);
        ask(session, channel, AMQP_QUEUE_DELETE_METHOD, &remove, AMQP_QUEUE_DELETE_OK_METHOD,
            std::move(reply));
      },
      std::move(done));
}

void Errands::publish(Message message, Done done) {
  add(
      [message = std::move(message)](Session& session, ChannelId channel, Reply reply) {
        const Properties& to = message.properties;
        auto sent = session.publish(channel, to.exchange, to.routing_key, false, message);
        if (!sent) return reply({precondition_failed, sent.error().what});
        // A channel's methods are done in order, so any answer proves that this is done.
        amqp_exchange_declare_t declare{};
        declare.exchange = bytes("amq.direct");
        declare.passive = true;
        ask(session, channel, AMQP_EXCHANGE_DECLARE_METHOD, &declare, AMQP_EXCHANGE_DECLARE_OK_METHOD,
            std::move(reply));
      },
      std::move(done));
}

}  // namespace celeriac::amqp
