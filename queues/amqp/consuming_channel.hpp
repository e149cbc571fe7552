// One channel with its consumers: what it delivered, what of that is to be acknowledged, and how many
// unacknowledged messages the server may send. Acknowledgements have no answer of their own: a question sent
// after them (channel.flow) proves, when it is answered, that the server has seen them.
#pragma once

#include "queues/amqp/ack_window.hpp"
#include "queues/amqp/connection.hpp"
#include "queues/broker.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace celeriac::amqp {

class ConsumingChannel final : public ChannelEvents {
 public:
  struct Handlers {
    std::function<void(ConsumingChannel&, const std::string& queue, Incoming&&)> on_delivery;
    std::function<void(ConsumingChannel&, const std::string& queue)>
        on_cancelled;  // e.g. the queue was deleted
    std::function<void(ConsumingChannel&, int code, const std::string& text)> on_closed;
    std::function<void()> on_proven;  // acknowledgements have arrived
  };
  // An acknowledgement whose arrival is not proven; its message is kept for that long.
  struct Unproven {
    Tag tag;
    std::shared_ptr<const Message> message;
  };

  // Without `fixed_prefetch` all consumers share one, which counts from the moment it is changed. With it
  // each consumer has this one for life, as quorum queues demand.
  ConsumingChannel(Connection& connection, std::optional<unsigned> fixed_prefetch, Handlers handlers);

  bool open();
  void consume(const std::string& queue);
  void cancel(const std::string& queue);
  void cancel_all();
  bool consumes(const std::string& queue) const { return by_queue_.count(queue) != 0; }
  std::vector<std::string> queues() const;

  // How many deliveries may be held beyond the deferred ones; 0: no limit. A fixed prefetch stays.
  void set_window(unsigned window);
  unsigned window() const { return window_; }
  static constexpr unsigned most_prefetch = 65535;  // the field has 16 bits

  void ack(std::uint64_t delivery, Tag tag, std::shared_ptr<const Message> message);
  void reject(std::uint64_t delivery, bool requeue);
  // Sends what is to be acknowledged. Once a turn.
  void settle();
  bool all_proven() const { return unproven_.empty() && !acks_.pending(); }
  const std::deque<Unproven>& unproven() const { return unproven_; }
  std::size_t held() const { return acks_.held(); }
  std::size_t deferred = 0;  // of held(): waits for its time

  // Retired: delivers nothing more and is closed when nothing is held.
  bool retired() const { return retired_; }
  void retire();
  void close();

  void on_delivery(Incoming&& incoming) override;
  void on_consumer_cancelled(const std::string& consumer_tag) override;
  void on_channel_closed(int code, const std::string& text) override;

 private:
  void apply_prefetch();
  void started(const std::string& consumer_tag);
  void stop_consumer(const std::string& consumer_tag);
  Session* session();

  Connection& connection_;
  const bool fixed_;
  Handlers handlers_;
  std::optional<ChannelId> id_;
  AckWindow acks_;
  std::deque<Unproven> unproven_;
  bool proving_ = false;
  unsigned window_;
  std::optional<unsigned> prefetch_;             // as the server knows it
  std::map<std::string, std::string> by_queue_;  // consumer tags
  std::map<std::string, std::string> by_tag_;    // also those being cancelled: deliveries may be on their way
  std::set<std::string> starting_;               // not confirmed by the server
  std::set<std::string> unwanted_;               // of these: to be cancelled then
  std::uint64_t last_consumer_ = 0;
  bool retired_ = false;
};

}  // namespace celeriac::amqp
