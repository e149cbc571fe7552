// Publishes with confirms: a message is kept here until the server has taken it, over any number of lost
// connections. What no queue takes is reported (persistent messages are mandatory); what the server turns
// away for now (a full queue, an alarm) is tried again.
//
// Order is kept. After a refusal that closes the channel messages go one at a time until the one
// that the server refuses is found; only that one fails.
#pragma once

#include "queues/amqp/connection.hpp"
#include "queues/amqp/topology.hpp"
#include "queues/broker.hpp"

#include <boost/asio/io_context.hpp>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace celeriac::amqp {

class Publisher final : public ChannelEvents {
 public:
  Publisher(boost::asio::io_context& io, Connection& connection, Topology& topology);

  // Publishes to the default exchange when the message names none; its queue is declared first.
  void publish(Message message, Done done);
  // Runs `then` when everything asked for before has been answered.
  void when_done(std::function<void()> then);
  bool done() const { return order_.empty(); }

  void up();
  void down();
  void give_up(const std::string& why);
  void cancel();  // no timer, no callback any more

  void on_confirmed(std::uint64_t tag, bool multiple, bool taken) override;
  void on_returned(Returned&& returned) override;
  void on_channel_closed(int code, const std::string& text) override;

 private:
  using Number = std::uint64_t;  // in the order of asking
  struct Item {
    Message message;
    Done done;
    std::size_t bytes = 0;
    bool returned = false;
    std::string why_returned;
    int attempts = 0;  // that came back unroutable
  };

  void send();
  bool send_one(Number number);
  void answer(Number number, Status status);
  void settle(std::uint64_t tag, bool taken);
  void unroutable(Number number);
  void refused(Number number);
  void resend_all();
  void check_watchers();

  Connection& connection_;
  Topology& topology_;
  Timer retry_timer_;
  std::optional<ChannelId> channel_;
  bool confirming_ = false;  // confirm.select has been answered
  bool ensuring_ = false;    // the first unsent message waits for its queue
  bool given_up_ = false;
  Number last_ = 0;
  std::map<Number, Item> order_;  // not answered
  std::deque<Number> unsent_;
  std::map<std::uint64_t, Number> sent_;  // by confirm tag
  std::uint64_t last_tag_ = 0;            // of this channel
  std::size_t careful_ = 0;               // so many messages go one at a time
  std::size_t bytes_ = 0;
  std::vector<std::pair<Number, std::function<void()>>> watchers_;
  std::chrono::steady_clock::time_point last_complaint_{};
};

}  // namespace celeriac::amqp
