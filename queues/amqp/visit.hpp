// A look into one queue: takes messages one after the other from its head on a channel of its own, and gives
// back those that are not acknowledged when it leaves. They are nobody else's meanwhile, and marked as
// redelivered afterwards.
#pragma once

#include "queues/amqp/connection.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace celeriac::amqp {

class Visit final : public ChannelEvents, public std::enable_shared_from_this<Visit> {
 public:
  using Taken = std::function<void(Expected<std::vector<Incoming>>)>;

  Visit(Connection& connection, std::string queue) : connection_(connection), queue_(std::move(queue)) {}
  ~Visit() override { close(); }

  // Up to `count` more, fewer when the queue is empty or does not exist. One call at a time.
  void take(std::size_t count, Taken done);
  void ack(std::uint64_t tag);
  // Gives the rest back; `then` runs when it is back in the queue, which the end of a channel would not tell:
  // a look that follows at once could miss it.
  void leave(std::function<void()> then);
  void lost(const std::string& why);  // the connection has gone

  void on_delivery(Incoming&& incoming) override;
  void on_channel_closed(int code, const std::string& text) override;

 private:
  void answered();
  void finish(Expected<std::vector<Incoming>> what);
  void close();
  void left();

  Connection& connection_;
  const std::string queue_;
  std::optional<ChannelId> channel_;
  std::vector<Incoming> taken_;
  std::size_t asked_ = 0, answered_ = 0;
  Taken done_;
  std::function<void()> left_;
};

}  // namespace celeriac::amqp
