#include "worker/pool_size.hpp"

#include "worker/logging.hpp"

#include <fmt/format.h>

namespace celeriac {

void PoolSize::follow(double now) {
  if (!autoscaler_) return;
  int by = autoscaler_->decide(pool_.slots(), consumer_.reserved(), now);
  // Only what is idle goes: a busy slot may be needed again before its task ends.
  const unsigned idle = pool_.slots() - std::min(pool_.slots(), pool_.busy());
  if (by < 0) by = -static_cast<int>(std::min(static_cast<unsigned>(-by), idle));
  change(by);
}

void PoolSize::set_bounds(unsigned max, unsigned min, double now) {
  change(autoscaler_->set_bounds(max, min, pool_.slots(), now));
  consumer_.resized(autoscaler_->max());
}

void PoolSize::grow(unsigned n) {
  pool_.grow(n);
  consumer_.resized(pool_.slots());
}

void PoolSize::shrink(unsigned n) {
  pool_.shrink(n);
  consumer_.resized(pool_.slots());
}

// The window stays that of MAX, as in Celery: what is fetched is what asks for slots.
void PoolSize::change(int by) {
  if (by == 0) return;
  if (by > 0) {
    log(LogLevel::info, fmt::format("Scaling up {} processes.", by));
    pool_.grow(static_cast<unsigned>(by));
  } else {
    log(LogLevel::info, fmt::format("Scaling down {} processes.", -by));
    pool_.shrink(static_cast<unsigned>(-by));
  }
  consumer_.resized(autoscaler_->max());
}

}  // namespace celeriac
