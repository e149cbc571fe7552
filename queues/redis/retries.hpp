// What the server refused (out of memory, disk full, a replica missing) and must be asked again: it will
// pass. Bounded in bytes; beyond that the newest is given up, which loses nothing: the message stays
// in `unacked` under our name until we are gone, and is then given back.
#pragma once

#include "queues/timer.hpp"

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <string_view>

namespace celeriac::redis {

class Retries {
 public:
  static constexpr std::size_t most_bytes = 64u << 20;

  explicit Retries(boost::asio::io_context& io) : timer_(io) {}

  // `again` runs once, in a second or with now(), in the order of the refusals; it holds `bytes`.
  // False when there is no room.
  bool add(std::string_view what, std::string_view error, std::size_t bytes, std::function<void()> again);

  void now();
  void cancel();
  std::size_t size() const { return waiting_.size(); }

 private:
  Timer timer_;
  struct Item {
    std::size_t bytes;
    std::function<void()> again;
  };
  std::deque<Item> waiting_;
  std::size_t bytes_ = 0;
  std::chrono::steady_clock::time_point last_told_{};
};

}  // namespace celeriac::redis
