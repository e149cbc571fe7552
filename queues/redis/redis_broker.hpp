// The Broker on Redis: kombu's keys, so that Python clients and workers share the queues, without
// kombu's holes (docs/redis.md): a message is in a list or in `unacked` at any time,
// and what a dead worker held comes back within 1.2 leases.
#pragma once

#include "queues/broker.hpp"
#include "queues/redis/connection.hpp"

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <vector>

namespace celeriac::redis {

struct BrokerOptions {
  ConnectionOptions connection;
  RedisOptions redis;
  std::string display_url;
};

class RedisBroker final : public Broker {
 public:
  RedisBroker(boost::asio::io_context& io, BrokerOptions options);
  ~RedisBroker() override;  // without stop(): as if the process had died

  void start(Handlers handlers) override;
  void consume(std::vector<std::string> queues) override;
  void set_window(unsigned window) override;
  void pause() override;
  void ack(Tag tag) override;
  void ack_begun(Tag tag) override;
  void reject(Tag tag, Requeue requeue) override;
  void release(Tag tag) override;
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

  // The id under which our messages stand in `unacked`, before ':' and a number.
  const std::string& owner() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace celeriac::redis
