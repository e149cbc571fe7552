// QueueKeeper on kombu's lists and our own keys (docs/redis.md). The scripts of keeper_scripts do
// the changes.
#pragma once

#include "queues/queue_keeper.hpp"
#include "queues/redis/connection.hpp"
#include "queues/redis/keys.hpp"
#include "queues/redis/outbox.hpp"

#include <memory>
#include <string>
#include <vector>

namespace celeriac::redis {

class Keeper final : public QueueKeeper {
 public:
  // Connects.
  Keeper(boost::asio::io_context& io, ConnectionOptions connection, const RedisOptions& redis);
  ~Keeper() override;

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
  void dead(std::string queue, std::size_t offset, std::size_t count,
            Answer<std::vector<KeptLetter>> answer) override;
  void dead_letter(std::string id, Answer<KeptLetter> answer) override;
  void requeue(std::vector<KeptLetter> letters, std::string to, Answer<Count> answer) override;
  void discard(std::vector<std::string> ids, Answer<Count> answer) override;
  void delayed(std::function<void(std::vector<DelayedMessage>&&)> on_page, Answer<Count> answer) override;
  void hasten(std::vector<DelayedMessage> messages, Answer<Count> answer) override;
  void cancel(std::vector<DelayedMessage> messages, Answer<Count> answer) override;

 private:
  struct Copy;
  struct Walk;
  void read_steps(std::shared_ptr<Walk> walk);
  void read_copy(std::shared_ptr<Copy> copy);
  void read_delayed(std::string cursor, Count seen,
                    std::function<void(std::vector<DelayedMessage>&&)> on_page, Answer<Count> answer);
  void take_out(std::vector<WaitingMessage> messages, std::string to, Answer<Count> answer);
  // Answers the sum of the integers with which the commands of `request` are answered.
  void sum(Request request, std::string what, Answer<Count> answer);

  const Keys keys_;
  Connection connection_;
  Outbox outbox_;
};

}  // namespace celeriac::redis
