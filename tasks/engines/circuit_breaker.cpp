#include "tasks/engines/circuit_breaker.hpp"

#include <algorithm>

namespace celeriac {
namespace {

std::chrono::milliseconds until(CircuitBreaker::Time then, CircuitBreaker::Time now) {
  return std::chrono::ceil<std::chrono::milliseconds>(then - now);
}

}  // namespace

std::optional<std::chrono::milliseconds> CircuitBreaker::wait_before_call(Time now) {
  if (now < paused_until_) return until(paused_until_, now);
  if (!open_) return std::nullopt;
  if (now < next_trial_) return until(next_trial_, now);
  next_trial_ = now + options_.recovery;  // this caller tries; the others wait that long at most
  return std::nullopt;
}

void CircuitBreaker::succeeded() {
  failures_ = trials_ = 0;
  open_ = false;
}

void CircuitBreaker::failed(Time now) {
  if (++failures_ < options_.failures && !open_) return;
  const auto longest = options_.max_recovery;
  auto wait = options_.recovery;
  for (int i = 0; i < trials_ && wait < longest; ++i) wait *= 2;
  if (open_ || trials_ == 0) ++trials_;
  open_ = true;
  next_trial_ = now + std::min(wait, longest);
}

CircuitBreaker::State CircuitBreaker::state(Time now) const {
  const auto left = [now](Time then) { return then > now ? until(then, now) : std::chrono::milliseconds(0); };
  return {failures_, trials_, open_, left(next_trial_), left(paused_until_)};
}

void CircuitBreaker::restore(const State& state, Time now) {
  failures_ = state.failures;
  trials_ = state.trials;
  open_ = state.open;
  next_trial_ = now + state.next_trial;
  paused_until_ = now + state.pause;
}

void CircuitBreaker::pause_until(Time moment) { paused_until_ = std::max(paused_until_, moment); }

}  // namespace celeriac
