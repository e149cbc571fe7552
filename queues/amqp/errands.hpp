// Things asked of the server that it may refuse. A refusal closes the channel, so they have one of their own,
// go one at a time, and the channel is opened again after each refusal. What was asked survives a
// lost connection: it is asked again, being harmless when repeated.
#pragma once

#include "protocol/json.hpp"
#include "queues/amqp/connection.hpp"

#include <deque>
#include <functional>
#include <optional>
#include <string>

namespace celeriac::amqp {

struct QueueSpec {
  std::string name;
  bool durable = true, exclusive = false, auto_delete = false;
  Json arguments = Json::object();
};
struct ExchangeSpec {
  std::string name, type = "direct";
  bool durable = true, auto_delete = false;
};
struct Binding {
  std::string destination, source, routing_key;
};

class Errands final : public ChannelEvents {
 public:
  struct Outcome {
    int code = 0;      // AMQP's reply code: 403, 404, 405, 406 ...; -1: the connection has been given up
    std::string text;  // of a refusal
    std::uint64_t messages = 0, consumers = 0;  // what a queue has
    bool ok() const { return code == 0; }
  };
  using Done = std::function<void(const Outcome&)>;

  explicit Errands(Connection& connection) : connection_(connection) {}

  void up();
  void down();
  void give_up(const std::string& why);  // no connection will come: answers everything with code -1

  void declare_queue(QueueSpec spec, Done done);
  void look_at_queue(std::string name, Done done);     // passive: it must exist
  void look_at_exchange(std::string name, Done done);  // passive, too
  void declare_exchange(ExchangeSpec spec, Done done);
  void bind_queue(Binding binding, Done done);
  void bind_exchange(Binding binding, Done done);
  void purge_queue(std::string name, Done done);
  void delete_queue(std::string name, Done done);
  // Not mandatory: answers when the server has handed the message on, to nobody perhaps. The exchange must
  // exist.
  void publish(Message message, Done done);
  bool idle() const { return waiting_.empty() && !running_; }

  void on_channel_closed(int code, const std::string& text) override;

 private:
  // Asks on the channel and calls back with the answer.
  using Ask = std::function<void(Session&, ChannelId, std::function<void(Outcome)>)>;
  struct Errand {
    Ask ask;
    Done done;
  };
  void add(Ask ask, Done done);
  void next();
  void finish(Outcome outcome);

  Connection& connection_;
  std::optional<ChannelId> channel_;
  std::deque<Errand> waiting_;
  std::optional<Errand> running_;
  bool given_up_ = false;
};

}  // namespace celeriac::amqp
