// Moves what waits in queues from one broker to another: a message is acknowledged at the source after the
// destination has confirmed it, so at any time it is in at least one of the two. A death between the two
// steps leaves up to `window` messages in both, under the same task id; a second run moves the rest.
//
// Headers, body and properties stay as they are, but for the routing: each arrives in the queue of the same
// name, and survives a restart of the server. What workers of the source hold is not touched. One loop.
#pragma once

#include "queues/broker.hpp"
#include "queues/timer.hpp"

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace celeriac {

class Bridge {
 public:
  struct Outcome {
    std::string problem;                         // why it ended early; empty: the queues are empty, or stop()
    std::map<std::string, std::uint64_t> moved;  // by queue
    std::uint64_t unreadable = 0;                // left where they are: the transport's framing is broken
    std::uint64_t held = 0;                      // by workers of the source, at the end
  };
  static constexpr unsigned window = 256;
  // So long nothing came although messages wait.
  static constexpr std::chrono::seconds patience{30};

  // Both are not started yet. `queues` is not empty.
  Bridge(boost::asio::io_context& io, std::unique_ptr<Broker> from, std::unique_ptr<Broker> to,
         std::vector<std::string> queues);

  // `done` runs once, when both have been left. With `follow` it goes on when the queues are empty.
  void start(bool follow, std::function<void(const Outcome&)> done);
  // What is under way is finished first.
  void stop();

 private:
  void connected();
  void declare_next(std::size_t index);
  void take(std::vector<Delivery>&& batch);
  void look();
  void looked(const Expected<std::vector<QueueInfo>>& infos);
  void end(std::string problem);
  void leave();

  boost::asio::io_context& io_;
  std::unique_ptr<Broker> from_, to_;
  const std::vector<std::string> queues_;
  bool from_ready_ = false, to_ready_ = false, began_ = false, follow_ = false, ending_ = false;
  Outcome outcome_;
  std::function<void(const Outcome&)> done_;
  std::uint64_t under_way_ = 0;  // published, not confirmed
  std::chrono::steady_clock::time_point last_{};
  Timer look_timer_, end_timer_;
};

}  // namespace celeriac
