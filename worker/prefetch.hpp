// How many messages the worker holds, and how many of them wait inside the pool.
//
// Celery's window is concurrency x worker_prefetch_multiplier. A batch per round trip to the
// broker is what makes quick tasks quick, so unless the user chose a multiplier the window grows
// while tasks are quick: never by more than 30 ms of work, never beyond 1024. As soon as tasks get
// slow it falls back to Celery's. Pure arithmetic: events in, numbers out.
#pragma once

#include <cstddef>
#include <optional>

namespace celeriac {

class Prefetch {
 public:
  struct Options {
    unsigned concurrency = 1;
    int multiplier = 4;   // 0: no limit
    bool strict = false;  // the user chose the multiplier: keep it
    bool fair = false;    // -O fair: nothing waits inside the pool
    std::optional<int> eta_task_limit;
  };

  explicit Prefetch(Options options);

  unsigned window() const { return window_; }  // unsettled deliveries; 0: no limit
  unsigned plain_window() const;               // what Celery would hold
  // Jobs the pool may have beyond the running ones, so that a slot need not wait for the loop.
  unsigned lookahead() const;

  // `count` runs ended, taking `seconds` in all. True when window() has changed.
  bool on_finished(std::size_t count, double seconds);
  // The youngest run, when every slot is busy, has lasted this long. True as above.
  bool on_busy(double seconds);
  bool resize(unsigned concurrency);

  // With this many messages waiting for their ETA no further ones may be fetched.
  bool eta_full(std::size_t deferred) const;

 private:
  bool update();

  Options options_;
  double mean_ = -1;  // seconds per run, slow to fall and quick to rise; negative: not known
  unsigned window_ = 0;
};

}  // namespace celeriac
