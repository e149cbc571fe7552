// Requests that must be carried out by the server sooner or later: they wait while there is
// no connection and are repeated, in their order, when it was lost before the answer came.
// So each must be harmless when done twice (an LPUSH done twice is a message sent twice: at
// least once is what we promise).
#pragma once

#include "queues/redis/connection.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <utility>
#include <vector>

namespace celeriac::redis {

class Outbox {
 public:
  explicit Outbox(Connection& connection) : connection_(connection) {}

  // `handler` runs once: with the last answer of the request, or with the first error. It never
  // sees lost(), except after give_up().
  // NOSCRIPT is dealt with here.
  void send(Request request, std::function<void(Reply)> handler);

  // Call when the connection has come up, after what must go before.
  void resend();

  // There will be no connection any more: every handler waiting gets lost().
  void give_up();

  std::size_t waiting_bytes() const { return waiting_bytes_; }

  // An operation of several requests calls begin() at its start and end() at its end.
  std::uint64_t begin();
  void end(std::uint64_t operation);
  // Runs `done` when everything sent or begun before has ended.
  void when_done(std::function<void()> done);

 private:
  struct Unit {
    Request request;
    std::function<void(Reply)> handler;
    std::uint64_t operation;
    std::size_t answers = 0;
    bool settled = false;  // an error was reported, or it waits to be repeated
  };

  void transmit(std::shared_ptr<Unit> unit);
  void answered(const std::shared_ptr<Unit>& unit, Reply reply);

  Connection& connection_;
  std::deque<std::shared_ptr<Unit>> waiting_;
  std::size_t waiting_bytes_ = 0;
  bool given_up_ = false;
  std::uint64_t next_operation_ = 1;
  std::set<std::uint64_t> open_;
  std::deque<std::pair<std::uint64_t, std::function<void()>>> waiters_;
};

}  // namespace celeriac::redis
