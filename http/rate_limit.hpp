// How many requests a caller may make in an hour: counted in Redis for all front ends together where the
// broker or the result store is one, else, and while it is away, by each process for itself.
#pragma once

#include "config/settings.hpp"
#include "queues/redis/connection.hpp"

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

namespace celeriac::http {

struct RateVerdict {
  bool allowed = true;
  int left = 0;
  int reset = 0;  // seconds until the window ends
};

// Pure.
class LocalRates {
 public:
  static constexpr double window = 3600;  // seconds
  static constexpr std::size_t most_callers = 100000;

  RateVerdict count(const std::string& caller, int limit, double now);

 private:
  struct Seen {
    double begun = 0;
    int count = 0;
  };
  std::unordered_map<std::string, Seen> callers_;
};

class RateLimits {
 public:
  RateLimits(boost::asio::io_context& io, const Settings& settings);
  void start();

  // `limit` 0: none, and nothing is counted. `caller` names who and what is counted.
  void count(const std::string& caller, int limit, std::function<void(const RateVerdict&)> then);

 private:
  LocalRates local_;
  std::unique_ptr<redis::Connection> shared_;  // null: no Redis is known
  std::string prefix_;
};

}  // namespace celeriac::http
