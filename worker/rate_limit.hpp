// Rate limits of tasks: Celery's grammar, and one token bucket of one token per task and node.
// No clock inside: callers pass the time.
#pragma once

#include "protocol/error.hpp"
#include "worker/job.hpp"

#include <deque>
#include <string_view>

namespace celeriac {

// "10", "10/s", "90/m", "1000/h", "0.5"; "" and "0" mean no limit. Runs per second.
Expected<double> parse_rate(std::string_view text);

// Holds the requests of one task until a token is free, in the order they came.
class RateLimit {
 public:
  explicit RateLimit(double per_second) : rate_(per_second) {}

  void add(JobId job) { waiting_.push_back(job); }
  void remove(JobId job);

  // The next request that may run at `now` (seconds); 0 when none may.
  JobId take(double now);

  // When take() can next give something; 0 when nothing waits.
  double next_due(double now) const;

  const std::deque<JobId>& waiting() const { return waiting_; }
  double rate() const { return rate_; }

  // Requests that already wait keep their order and follow the new rate; its first token is there. 0: no
  // limit.
  void set_rate(double per_second) { rate_ = per_second, token_at_ = 0; }

 private:
  double rate_;
  double token_at_ = 0;  // from when on the single token is there
  std::deque<JobId> waiting_;
};

}  // namespace celeriac
