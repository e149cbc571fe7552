#include "worker/stall.hpp"

namespace celeriac {

void StallDetector::on_progress(double now) {
  last_ = now;
  suspected_ = false;
}

bool StallDetector::should_ask(double now, bool idle) {
  if (!idle || last_ == 0) {
    on_progress(now);
    return false;
  }
  // A second look comes soon: one message may just have been on its way.
  const double wait = suspected_ ? patience_ / 10 : patience_;
  if (now - last_ < wait) return false;
  last_ = now;
  return true;
}

bool StallDetector::on_depth(double now, std::uint64_t ready) {
  last_ = now;
  const bool stalled = suspected_ && ready > 0;
  suspected_ = ready > 0 && !stalled;
  return stalled;
}

}  // namespace celeriac
