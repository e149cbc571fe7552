// The circuit breakers of all workers together, by the server they stand before: what one worker learns about
// a server, the others know. Kept in Redis, decided by CircuitBreaker.
//
// While Redis is away each process goes on with what it knew last and learns by itself; it looks for Redis
// again after a few seconds. Calls wait for Redis, three seconds at most; any thread may make them.
#pragma once

#include "tasks/engines/circuit_breaker.hpp"
#include "tasks/engines/redis.hpp"

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace celeriac {

class SharedBreakers {
 public:
  // `url`: redis://...; empty: this process only. Throws std::invalid_argument.
  explicit SharedBreakers(const std::string& url, CircuitBreaker::Options options = {});

  // As CircuitBreaker's, of the one for this server.
  std::optional<std::chrono::milliseconds> wait_before_call(const std::string& server);
  void succeeded(const std::string& server);
  void failed(const std::string& server);
  void pause(const std::string& server, std::chrono::milliseconds time);

 private:
  using Change = std::function<void(CircuitBreaker&, CircuitBreaker::Time)>;
  void apply(const std::string& server, const Change& change);
  bool share(const std::string& server, CircuitBreaker& breaker, const Change& change);

  const CircuitBreaker::Options options_;
  std::mutex mutex_;
  std::map<std::string, CircuitBreaker> breakers_;
  std::optional<RedisConnection> redis_;
  CircuitBreaker::Time redis_again_{};
};

// The process's own for this address; made by the first who asks.
SharedBreakers& shared_breakers(const std::string& url);

}  // namespace celeriac
