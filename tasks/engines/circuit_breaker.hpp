// Stops calling a server that keeps failing, and lets one call through now and then to see
// whether it is back. Pure: time is handed in. Used by one thread at a time.
#pragma once

#include <chrono>
#include <optional>

namespace celeriac {

class CircuitBreaker {
 public:
  using Time = std::chrono::steady_clock::time_point;
  struct Options {
    int failures = 5;                   // in a row
    std::chrono::seconds recovery{60};  // before the first trial; doubled after each one that fails
    std::chrono::seconds max_recovery{300};
  };

  explicit CircuitBreaker(Options options) : options_(options) {}

  // Nothing when a call may be made now; else how long to wait. While it is open one caller
  // gets through after the wait, and the others wait for what becomes of that call.
  std::optional<std::chrono::milliseconds> wait_before_call(Time now);

  void succeeded();
  void failed(Time now);
  // The server asked for a pause (Retry-After, an exhausted rate limit); no failure of its own.
  void pause_until(Time until);

  bool open() const { return open_; }

  // What it knows, as others can go on with it: times are from `now` on.
  struct State {
    int failures = 0, trials = 0;
    bool open = false;
    std::chrono::milliseconds next_trial{0}, pause{0};  // 0: past
    bool operator==(const State&) const = default;
  };
  State state(Time now) const;
  void restore(const State& state, Time now);

 private:
  Options options_;
  int failures_ = 0, trials_ = 0;
  bool open_ = false;
  Time next_trial_{}, paused_until_{};
};

}  // namespace celeriac
