// The Broker on RabbitMQ: Celery's queues and exchanges, so that Python clients and workers share them.
//
// Two connections, for a server in need stops listening to those that publish: one publishes, the other,
// opened with the first consumer, takes deliveries and acknowledges them.
#pragma once

#include "queues/amqp/broadcasts.hpp"
#include "queues/amqp/url.hpp"
#include "queues/broker.hpp"

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <vector>

namespace celeriac::amqp {

struct BrokerOptions {
  std::vector<Server> servers;  // tried in turn
  int max_retries = 0;          // of connecting; see BackoffOptions
  TopologyOptions topology;
  bool detect_quorum = true;
  MailboxKinds mailboxes;
};

class AmqpBroker final : public Broker {
 public:
  AmqpBroker(boost::asio::io_context& io, BrokerOptions options);
  ~AmqpBroker() override;  // without stop(): as if the process had died

  void start(Handlers handlers) override;
  void consume(std::vector<std::string> queues) override;
  void set_window(unsigned window) override;
  bool fixed_window() const override;
  void pause() override;
  void ack(Tag tag) override;
  void reject(Tag tag, Requeue requeue) override;
  void bury(Tag tag, DeadLetter why) override;
  void defer(Tag tag, Clock::time_point due) override;
  void publish(Message message, Done done) override;
  void flush(Done done) override;
  void ping(Done done) override;
  void stop(std::function<void(std::size_t)> done) override;
  void inspect(std::vector<std::string> queues,
               std::function<void(Expected<std::vector<QueueInfo>>)> done) override;
  void purge(std::string queue, std::function<void(Expected<std::uint64_t>)> done) override;
  void declare(std::string queue, Done done) override;
  bool can_broadcast() const override { return true; }
  void subscribe(std::string exchange, std::string pattern, std::string queue, OnMessage on_message) override;
  bool broadcast(const Message& message) override;
  void open_inbox(std::string queue, std::string exchange, std::string routing_key, OnMessage on_message,
                  Done ready) override;
  void close_inbox(std::string queue) override;
  std::string display_url() const override;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace celeriac::amqp
