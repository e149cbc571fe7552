// Remote control and events: subscriptions, private reply queues, and messages to whoever listens.
//
// Our queues are exclusive unless the settings say otherwise: they go with the connection, and every RabbitMQ
// allows them (version 4 refuses queues that are transient and not exclusive, so they are exclusive there).
#pragma once

#include "queues/amqp/topology.hpp"
#include "queues/broker.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace celeriac::amqp {

// What the queues are like that broadcasts come into.
struct MailboxKind {
  std::optional<std::int64_t> message_ttl, expires;  // ms
  bool durable = false, exclusive = true;
};
struct MailboxKinds {
  MailboxKind control{300000, 10000}, events{5000, 60000};  // Celery's defaults
};

// What comes in, on the connection that consumes.
class Subscriptions final : public ChannelEvents {
 public:
  using OnMessage = Broker::OnMessage;

  Subscriptions(boost::asio::io_context& io, Connection& connection, Errands& errands, Topology& topology,
                MailboxKinds kinds);

  // Runs when we listen again although the connection was there all the time: something may have passed us
  // by.
  void when_missed(std::function<void()> missed) { missed_ = std::move(missed); }

  void subscribe(std::string exchange, std::string pattern, std::string queue, OnMessage on_message);
  void open_inbox(std::string queue, std::string exchange, std::string routing_key, OnMessage on_message,
                  Done ready);
  void close_inbox(const std::string& queue);
  bool empty() const { return mailboxes_.empty(); }

  void up();
  void down();
  void give_up(const std::string& why);
  void cancel();

  void on_delivery(Incoming&& incoming) override;
  void on_consumer_cancelled(const std::string& consumer_tag) override;
  void on_channel_closed(int code, const std::string& text) override;

 private:
  struct Mailbox {
    std::string exchange, key, queue;
    OnMessage on_message;
    Done ready;
  };
  void add(Mailbox mailbox);
  QueueSpec spec(const std::string& queue, const std::string& exchange) const;
  void declare(const std::string& queue);
  void retry_later(const std::string& queue);
  void consume(const std::string& queue);

  Connection& connection_;
  Errands& errands_;
  Topology& topology_;
  const MailboxKinds kinds_;
  Timer retry_timer_;
  std::optional<ChannelId> channel_;
  std::map<std::string, Mailbox> mailboxes_;  // by queue
  std::set<std::string> retry_, retried_;
  std::function<void()> missed_;
};

// What goes out, on the connection that publishes; without confirms, for nobody keeps these messages.
class Announcer final : public ChannelEvents {
 public:
  Announcer(Connection& connection, Topology& topology) : connection_(connection), topology_(topology) {}

  // False: there is no connection, nothing was sent.
  bool send(const Message& message);
  void up();
  void down();
  void on_channel_closed(int code, const std::string& text) override;

 private:
  void send_waiting();

  Connection& connection_;
  Topology& topology_;
  std::optional<ChannelId> channel_;
  std::deque<Message> waiting_;  // for their exchange to be declared
};

}  // namespace celeriac::amqp
