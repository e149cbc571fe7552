// Waiting for results in stores that announce nothing: asks again after 10 ms, then twice as long each time
// up to half a second.
//
// Concurrency: one loop. The time limit holds while the store is away, too. Questions under way when the
// object goes are dropped with their waiters.
#pragma once

#include "protocol/json.hpp"

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace celeriac {

class ResultPoll {
 public:
  using Fetch = std::function<void(std::string task_id, std::function<void(Expected<std::optional<Json>>)>)>;
  using Done = std::function<void(Expected<Json>)>;

  // `fetch` is called while this object lives.
  ResultPoll(boost::asio::io_context& io, Fetch fetch);
  ~ResultPoll();
  ResultPoll(const ResultPoll&) = delete;
  ResultPoll& operator=(const ResultPoll&) = delete;

  // Completes with the meta document of a task in a ready state, or with an error at `timeout`.
  void wait(std::string task_id, std::chrono::milliseconds timeout, Done done);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace celeriac
