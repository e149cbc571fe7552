// Notices a consumer that looks alive but gets nothing: idle for long although its queues are not
// empty. Asking the broker for the depth is the caller's; this decides when to ask and what it means.
#pragma once

#include <cstdint>

namespace celeriac {

class StallDetector {
 public:
  explicit StallDetector(double patience = 30) : patience_(patience) {}

  // A delivery came, or the connection was made anew. Times in seconds.
  void on_progress(double now);

  // True: ask for the number of ready messages. `idle`: connected, consuming, slots free.
  bool should_ask(double now, bool idle);

  // The answer. True when it is the second in a row that shows messages nobody brings us.
  bool on_depth(double now, std::uint64_t ready);

 private:
  double patience_;
  double last_ = 0;
  bool suspected_ = false;
};

}  // namespace celeriac
