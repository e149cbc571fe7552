// Decides when to try a connection again: soon after the first failure, then in Celery's
// steps of 2, 4, 6 ... 30 seconds. One object serves the first connect and every reconnect.
// Pure: no clock, no timer.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace celeriac {

struct BackoffOptions {
  std::chrono::milliseconds first{100};
  std::chrono::milliseconds step{2000};
  std::chrono::milliseconds max{30000};
  int max_retries = 0;  // only before the first success; 0: for ever, negative: none
};

class Backoff {
 public:
  explicit Backoff(BackoffOptions options, std::uint32_t seed = 1);

  // After a failure: how long to wait, up to a quarter less than the plan so that a fleet
  // does not come back in step. Empty: give up.
  std::optional<std::chrono::milliseconds> next();

  void succeeded();                           // the next failure starts from the beginning
  int failures() const { return failures_; }  // in a row
  bool ever_succeeded() const { return succeeded_; }

 private:
  BackoffOptions options_;
  std::uint32_t random_;
  int failures_ = 0;
  bool succeeded_ = false;
};

}  // namespace celeriac
