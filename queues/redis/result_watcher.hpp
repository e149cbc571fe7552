// Waits for results by Redis pub/sub, on a connection of its own that exists only once
// somebody waits. A key is subscribed first and read afterwards, also after every reconnect, so no
// result can fall in between.
#pragma once

#include "protocol/json.hpp"
#include "queues/redis/connection.hpp"
#include "queues/timer.hpp"

#include <map>
#include <memory>
#include <optional>

namespace celeriac::redis {

class ResultWatcher {
 public:
  using Done = std::function<void(Expected<Json>)>;
  using Fetch =
      std::function<void(const std::string& key, std::function<void(Expected<std::optional<Json>>)>)>;

  ResultWatcher(boost::asio::io_context& io, ConnectionOptions options, Fetch fetch);

  // Completes with the meta document once it is in a ready state.
  void wait(std::string key, std::chrono::milliseconds timeout, Done done);

  // Waiters are dropped.
  void close();

 private:
  struct Waiter {
    Waiter(boost::asio::io_context& io, Done then) : done(std::move(then)), timer(io) {}
    Done done;
    Timer timer;
  };

  void connect();
  void subscribe(const std::vector<std::string>& keys);
  void received(Reply push);
  void look(const std::string& key);
  void found(const std::string& key, const Expected<Json>& meta);

  boost::asio::io_context& io_;
  ConnectionOptions options_;
  Fetch fetch_;
  std::unique_ptr<Connection> connection_;
  std::multimap<std::string, std::unique_ptr<Waiter>> waiters_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for answers that come after close()
};

}  // namespace celeriac::redis
