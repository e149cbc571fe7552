// Deliveries from the queues to the worker and what becomes of them: holds each until it is settled, keeps
// the deferred ones until their time, and carries the worker over lost channels and connections.
#pragma once

#include "queues/amqp/consuming_channel.hpp"
#include "queues/amqp/lost_deliveries.hpp"
#include "queues/amqp/publisher.hpp"
#include "queues/amqp/topology.hpp"
#include "queues/broker.hpp"
#include "queues/due_queue.hpp"

#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace celeriac::amqp {

class Consumption : public std::enable_shared_from_this<Consumption> {
 public:
  struct Handlers {
    std::function<void(std::vector<Delivery>&&)> on_deliveries;
    std::function<void(std::vector<Tag>)> on_taken;
  };
  struct Options {
    bool detect_quorum = true;   // worker_detect_quorum_queues
    bool native_delayed = true;  // bind quorum queues to kombu's delayed delivery
  };

  Consumption(boost::asio::io_context& io, Connection& connection, Errands& errands, Topology& topology,
              Publisher& publisher, Options options);

  void start(Handlers handlers) { handlers_ = std::move(handlers); }
  // Before anything else is asked for over a new connection: whoever sees the worker answer may send with an
  // ETA to the quorum queues of task_queues.
  void prepare();
  void up();
  void down(const std::string& why);

  void consume(std::vector<std::string> queues);
  void set_window(unsigned window);
  void pause();
  // Whether an operator has paused or resumed the queue; see pauses.hpp.
  void look_for_pause(const std::string& queue);
  void look_for_pauses();
  bool held_back(const std::string& queue) const { return held_back_.count(queue) != 0; }

  void ack(Tag tag);
  void reject(Tag tag, Requeue requeue);
  void bury(Tag tag, DeadLetter why);
  void defer(Tag tag, Clock::time_point due);

  // `then` runs when the server has heard of every settlement so far, lost connections included.
  void when_settled(std::function<void()> then);
  // Closes the channels, so that the server puts back what is held. How many that are.
  std::size_t leave();
  void cancel();  // no timer, no callback any more

  bool fixed_window() const { return per_consumer_; }
  std::size_t held(const std::string& queue) const;  // without the deferred ones
  std::size_t deferred(const std::string& queue) const;

 private:
  using ChannelList = std::vector<std::unique_ptr<ConsumingChannel>>;
  struct Held {
    ConsumingChannel* channel = nullptr;
    std::uint64_t delivery = 0;
    std::shared_ptr<const Message> message;
    std::string queue;
    std::string error;
    bool deferred = false;
  };

  ConsumingChannel* current() const;
  ConsumingChannel* open_channel(std::optional<unsigned> fixed_prefetch);
  void declare_later(std::chrono::milliseconds pause);
  void declare_queues();
  void pause_seen(const std::string& queue, const Errands::Outcome& marker);
  bool takes(const std::string& queue) const;
  void start_consumers();
  void stop_unwanted();
  void delivered(ConsumingChannel& channel, const std::string& queue, Incoming&& incoming);
  void apply(ConsumingChannel& channel, std::uint64_t delivery, const std::string& queue, Tag tag,
             std::shared_ptr<const Message> message, Verdict verdict);
  void channel_closed(ConsumingChannel& channel, int code, const std::string& text);
  void lose(ConsumingChannel& channel);
  void drop(ConsumingChannel& channel);
  void turn_soon();  // once at the end of this turn of the loop
  void turn();
  void adjust_prefetch();
  void fit_channels(const std::string& queue);
  void deliver_due();
  void check_settled();

  boost::asio::io_context& io_;
  Connection& connection_;
  Errands& errands_;
  Topology& topology_;
  Publisher& publisher_;
  const Options options_;
  Handlers handlers_;
  ChannelList channels_;  // sharing a prefetch: the last one consumes, the others are retired
  ChannelList gone_;      // freed at the end of the turn: they may be further up the stack
  std::vector<std::string> queues_;
  std::set<std::string> declaring_;
  std::set<std::string> held_back_;  // paused by an operator
  std::set<std::string> to_delay_;   // quorum queues, to be bound to kombu's delayed delivery
  bool pauses_hidden_ = false;       // the server does not let us look for them
  unsigned window_ = 0;
  bool consuming_ = false, paused_ = false, prepared_ = false, turn_posted_ = false, closed_ = false;
  bool per_consumer_ = false;  // a channel for each queue: it is a quorum queue, or RabbitMQ 4
  std::chrono::milliseconds reopen_pause_{0};

  Tag last_tag_ = 0;
  std::unordered_map<Tag, Held> held_;
  std::size_t deferred_ = 0;
  std::vector<Delivery> batch_;
  unsigned slack_ = 0;      // on top of the window while nothing but messages with an ETA comes
  bool slack_out_ = false;  // more may still come because of it
  DueQueue due_;
  LostDeliveries lost_;
  std::chrono::steady_clock::time_point unmarked_until_{};  // they may come back unmarked
  std::size_t burying_ = 0;
  bool grace_ = false;  // consuming again after a loss: what we decided may still come back
  std::vector<std::function<void()>> settled_;
  Timer due_timer_, grace_timer_, reopen_timer_, pause_timer_;
};

}  // namespace celeriac::amqp
