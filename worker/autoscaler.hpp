// --autoscale MAX,MIN: how many slots the pool shall have. Pure: callers pass the facts and the time.
//
// Celery's rule: the work at hand is what is reserved for the pool, running tasks included. With more work
// than slots they grow at once, up to MAX; with less they shrink down to MIN, when nothing has grown for
// `keepalive`.
#pragma once

#include <algorithm>

namespace celeriac {

class Autoscaler {
 public:
  // `keepalive` in seconds: AUTOSCALE_KEEPALIVE, 30 by default.
  Autoscaler(unsigned max, unsigned min, double keepalive)
      : max_(std::max(1u, max)), min_(std::min(min, max_)), keepalive_(keepalive) {}

  unsigned max() const { return max_; }
  unsigned min() const { return min_; }
  unsigned least_slots() const { return std::max(1u, min_); }  // a pool without slots could not be asked

  // How many slots to add (positive) or, of the idle ones, to take away (negative). `work`: tasks that run or
  // could run now.
  int decide(unsigned slots, std::size_t work, double now) {
    const auto wanted = static_cast<unsigned>(std::clamp<std::size_t>(work, least_slots(), max_));
    if (wanted > slots) {
      grown_at_ = now;
      return static_cast<int>(wanted - slots);
    }
    if (wanted == slots || now - grown_at_ <= keepalive_) return 0;
    return -static_cast<int>(slots - wanted);
  }

  // The control command: new bounds; what is outside of them is changed at once. Answers as decide().
  int set_bounds(unsigned max, unsigned min, unsigned slots, double now) {
    max_ = std::max(1u, max);
    min_ = std::min(min, max_);
    if (slots > max_) return -static_cast<int>(slots - max_);
    if (slots >= least_slots()) return 0;
    grown_at_ = now;
    return static_cast<int>(least_slots() - slots);
  }

 private:
  unsigned max_, min_;
  double keepalive_;
  double grown_at_ = 0;
};

}  // namespace celeriac
