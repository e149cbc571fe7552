#include "queues/redis/broadcast.hpp"

#include "protocol/envelope.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace celeriac::redis {
namespace {

constexpr std::size_t max_broadcast_bytes = 64u << 20;

ConnectionOptions listening(ConnectionOptions options) {
  options.max_retries = 0;  // giving up is decided by the command connection alone
  options.max_reply_bytes = max_broadcast_bytes;
  return options;
}

void hand_over(std::string_view envelope, const Broker::OnMessage& on_message) {
  auto message = decode_envelope(envelope);
  if (!message) return spdlog::error("a broadcast cannot be read: {}", message.error().what);
  on_message(std::move(*message));
}

}  // namespace

Broadcasts::Broadcasts(boost::asio::io_context& io, ConnectionOptions options, Connection& commands,
                       Outbox& outbox, const Keys& keys)
    : io_(io), options_(listening(std::move(options))), commands_(commands), outbox_(outbox), keys_(keys) {}

// ---- subscriptions ----

void Broadcasts::subscribe(std::string exchange, std::string pattern, std::string queue,
                           OnMessage on_message) {
  auto made = std::make_shared<Subscription>();
  made->binding = keys_.binding(exchange);
  made->member = keys_.binding_member(pattern, queue);
  std::replace(pattern.begin(), pattern.end(), '#', '*');
  made->channel_pattern = keys_.channel(options_.db, exchange, pattern);
  made->on_message = std::move(on_message);
  Request request;
  request.add("SADD", made->binding, made->member);
  outbox_.send(std::move(request), nullptr);
  subscriptions_.push_back(made);
  if (!subscriber_) return connect();
  if (subscriber_->ready()) listen({made->channel_pattern});
}

void Broadcasts::connect() {
  subscriber_ = std::make_unique<Connection>(io_, options_);
  Connection::Handlers handlers;
  handlers.on_up = [this] {
    std::vector<std::string> patterns;
    for (const auto& subscription : subscriptions_) patterns.push_back(subscription->channel_pattern);
    listen(patterns);
  };
  handlers.on_failed = [](std::string why) {
    spdlog::error("no remote control and no events from others: {}", why);
  };
  handlers.on_push = [this](Reply push) { received(push); };
  subscriber_->start(std::move(handlers));
}

void Broadcasts::listen(const std::vector<std::string>& patterns) {
  Request request;
  request.begin(1 + patterns.size()).arg("PSUBSCRIBE");
  for (const auto& pattern : patterns) request.arg(pattern);
  subscriber_->subscribe(request);
}

void Broadcasts::received(Reply push) {
  if (push.size() < 4 || push[0].text() != "pmessage") return;
  for (const auto& subscription : std::vector(subscriptions_)) {  // a handler may subscribe
    if (subscription->channel_pattern == push[1].text()) hand_over(push[3].text(), subscription->on_message);
  }
}

bool Broadcasts::send(const Message& message) {
  if (!commands_.ready()) return false;
  commands_.send(
      {"PUBLISH", keys_.channel(options_.db, message.properties.exchange, message.properties.routing_key),
       encode_envelope(message)},
      nullptr);
  return true;
}

// ---- reply queues ----

void Broadcasts::open_inbox(std::string queue, std::string exchange, std::string routing_key,
                            OnMessage on_message, Done ready) {
  auto inbox = std::make_shared<Inbox>();
  inbox->key = keys_.list(queue, 0);
  inbox->binding = keys_.binding(exchange);
  inbox->member = keys_.binding_member(routing_key, queue);
  inbox->on_message = std::move(on_message);
  inbox->connection = std::make_unique<Connection>(io_, options_);
  inboxes_[std::move(queue)] = inbox;
  Request request;
  request.add("SADD", inbox->binding, inbox->member);
  outbox_.send(std::move(request),
               [ready = std::move(ready)](Reply reply) { ready(Status{reply.problem()}); });
  Connection::Handlers handlers;
  handlers.on_up = [this, weak = std::weak_ptr(inbox)] {
    if (const auto open = weak.lock()) pop(open);
  };
  inbox->connection->start(std::move(handlers));
}

void Broadcasts::pop(const std::shared_ptr<Inbox>& inbox) {
  // One second a turn: the connection must not seem silent to its own watch.
  inbox->connection->send({"BRPOP", inbox->key, "1"}, [this, weak = std::weak_ptr(inbox)](Reply reply) {
    const auto open = weak.lock();
    if (!open || !open->connection || !reply.ok()) return;  // lost: on_up begins anew
    std::string envelope;
    if (reply.size() == 2) envelope = reply[1].text();
    pop(open);
    if (!envelope.empty()) hand_over(envelope, open->on_message);
  });
}

void Broadcasts::close_inbox(std::string queue) {
  const auto found = inboxes_.find(queue);
  if (found == inboxes_.end()) return;
  const auto inbox = found->second;
  inboxes_.erase(found);
  inbox->connection->close();
  Request request;
  request.add("SREM", inbox->binding, inbox->member).add("DEL", inbox->key);
  outbox_.send(std::move(request), nullptr);
}

void Broadcasts::unbind() {
  if (subscriber_) subscriber_->close();
  for (const auto& subscription : std::exchange(subscriptions_, {})) {
    Request request;
    request.add("SREM", subscription->binding, subscription->member);
    outbox_.send(std::move(request), nullptr);
  }
  while (!inboxes_.empty()) close_inbox(inboxes_.begin()->first);
}

void Broadcasts::close() {
  if (subscriber_) subscriber_->close();
  for (const auto& [queue, inbox] : inboxes_) inbox->connection->close();
  inboxes_.clear();
  subscriptions_.clear();
}

}  // namespace celeriac::redis
