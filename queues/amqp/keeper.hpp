// QueueKeeper on RabbitMQ, which lets nobody look at a message without taking it: what is looked at is taken
// from the head of the queue and given back, and workers do not see it meanwhile. What waits for its time is
// taken in by workers or lies in kombu's delayed queues; these calls fail and say so. Pauses: pauses.hpp.
#pragma once

#include "queues/amqp/publisher.hpp"
#include "queues/amqp/topology.hpp"
#include "queues/amqp/url.hpp"
#include "queues/amqp/visit.hpp"
#include "queues/queue_keeper.hpp"

#include <memory>
#include <vector>

namespace celeriac::amqp {

class Keeper final : public QueueKeeper {
 public:
  // Connects. `servers` is not empty.
  Keeper(boost::asio::io_context& io, std::vector<Server> servers, TopologyOptions topology);
  ~Keeper() override;

  // The bytes are the message in kombu's envelope, as Redis would have them.
  void waiting(std::string queue, std::size_t offset, std::size_t count,
               Answer<std::vector<WaitingMessage>> answer) override;
  void snapshot(std::string queue, std::function<void(std::vector<WaitingMessage>&&)> on_page,
                Answer<Count> answer) override;
  void move(std::vector<WaitingMessage> messages, std::string to, Answer<Count> answer) override;
  void drop(std::vector<WaitingMessage> messages, Answer<Count> answer) override;
  void put(std::vector<WaitingMessage> messages, Answer<Count> answer) override;
  void pause(std::string queue, std::string note, Answer<bool> answer) override;
  void resume(std::string queue, Answer<bool> answer) override;
  void paused(Answer<std::vector<std::pair<std::string, std::string>>> answer) override;
  // An id is "<queue>/<task id>"; the queue has to be named, for AMQP has no list of queues.
  void dead(std::string queue, std::size_t offset, std::size_t count,
            Answer<std::vector<KeptLetter>> answer) override;
  void dead_letter(std::string id, Answer<KeptLetter> answer) override;
  void requeue(std::vector<KeptLetter> letters, std::string to, Answer<Count> answer) override;
  void discard(std::vector<std::string> ids, Answer<Count> answer) override;
  void delayed(std::function<void(std::vector<DelayedMessage>&&)> on_page, Answer<Count> answer) override;
  void hasten(std::vector<DelayedMessage> messages, Answer<Count> answer) override;
  void cancel(std::vector<DelayedMessage> messages, Answer<Count> answer) override;

 private:
  struct Tour;
  // Runs `then` once connected.
  void when_up(std::function<void()> then);
  // Goes through a queue until `enough` messages were meant; each of them is acknowledged once `act` is done.
  void tour(std::string queue, std::function<bool(const Message&)> meant, std::size_t enough,
            std::function<void(Message&&, Done)> act, Answer<Count> answer);
  void go_on(std::shared_ptr<Tour> tour);
  std::shared_ptr<Visit> visit(std::string queue);
  // Tells the workers to look for the queue's marker, then answers whether something changed.
  void tell_of_pause(const std::string& queue, bool changed, Answer<bool> answer);
  void read_letters(std::string queue, Answer<std::vector<KeptLetter>> answer);

  Connection connection_;
  Errands errands_;
  Topology topology_;
  Publisher publisher_;
  std::vector<std::function<void()>> waiting_;
  std::vector<std::weak_ptr<Visit>> visits_;
  std::string given_up_;  // why no connection will come
};

}  // namespace celeriac::amqp
