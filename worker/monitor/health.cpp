#include "worker/monitor/health.hpp"

namespace celeriac {

void Health::on_asked(double now) {
  if (!asked_) asked_ = now;
}

void Health::on_answered(double now) {
  asked_.reset();
  answered_ = now;
}

std::string Health::reason(double now) const {
  if (going_down_) return "shutting down";
  if (!connected_) return "no connection to the broker";
  if (!started_) return "not consuming yet";
  if (asked_ && now - *asked_ > patience)
    return "the broker has not answered for " + std::to_string(static_cast<long>(now - *asked_)) + " s";
  if (!answered_) return "the broker has not answered yet";
  if (stalled_) return "messages wait and slots are free, but nothing is delivered";
  return {};
}

}  // namespace celeriac
