// Broadcasts over Redis pub/sub, in kombu's channels, and private reply queues.
//
// Subscriptions share one connection that exists once somebody subscribes; each reply queue has one
// for its blocking pop. Bindings are written to kombu's sets, so that Python sees who listens.
#pragma once

#include "queues/broker.hpp"
#include "queues/redis/connection.hpp"
#include "queues/redis/keys.hpp"
#include "queues/redis/outbox.hpp"

#include <boost/asio/io_context.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace celeriac::redis {

class Broadcasts {
 public:
  using OnMessage = Broker::OnMessage;

  Broadcasts(boost::asio::io_context& io, ConnectionOptions options, Connection& commands, Outbox& outbox,
             const Keys& keys);

  void subscribe(std::string exchange, std::string pattern, std::string queue, OnMessage on_message);
  bool send(const Message& message);

  void open_inbox(std::string queue, std::string exchange, std::string routing_key, OnMessage on_message,
                  Done ready);
  void close_inbox(std::string queue);

  // Removes every binding and reply queue of ours; no message comes any more.
  void unbind();
  void close();

 private:
  struct Subscription {
    std::string channel_pattern, binding, member;
    OnMessage on_message;
  };
  struct Inbox {
    std::string key, binding, member;
    OnMessage on_message;
    std::unique_ptr<Connection> connection;
  };

  void connect();
  void listen(const std::vector<std::string>& patterns);
  void received(Reply push);
  void pop(const std::shared_ptr<Inbox>& inbox);

  boost::asio::io_context& io_;
  ConnectionOptions options_;
  Connection& commands_;
  Outbox& outbox_;
  const Keys& keys_;
  std::unique_ptr<Connection> subscriber_;
  std::vector<std::shared_ptr<Subscription>> subscriptions_;
  std::map<std::string, std::shared_ptr<Inbox>> inboxes_;  // by queue
};

}  // namespace celeriac::redis
