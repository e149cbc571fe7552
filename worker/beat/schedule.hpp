// When an entry of the beat schedule runs: every so often, by a crontab, or by the sun. Pure: callers pass
// the time.
#pragma once

#include "protocol/json.hpp"
#include "worker/beat/crontab.hpp"
#include "worker/beat/solar.hpp"
#include "worker/beat/zone.hpp"

#include <optional>
#include <string>
#include <variant>

namespace celeriac {

struct Interval {
  double seconds = 0;
  // Celery's `relative`: the time due is rounded down to the day, hour or minute on the wall clock, the
  // greatest that fits into the interval.
  bool relative = false;
};

// What is to be done now, and when to look again (Unix seconds; infinity: never).
struct Due {
  bool now = false;
  double next = 0;
};

class Schedule {
 public:
  // Seconds; "m h dom mon dow"; {seconds = .., minutes = .., hours = .., days = .., weeks = ..};
  // {minute = .., hour = .., day_of_week = .., ...}; {event = "sunset", lat = .., lon = ..}.
  static Expected<Schedule> read(const Json& value, bool relative);

  // The first time after a run at `last` (Unix seconds); infinity: it does not come.
  double next(double last, const Zone& zone) const;

  // What was missed is made up for by one run, unless it is of a crontab and every missed time lies more than
  // `deadline` seconds back (beat_cron_starting_deadline).
  Due look(double last, double now, const Zone& zone, const std::optional<double>& deadline) const;

  std::string text() const;  // "every 30s", "0 4 * * *", "sunset at 52.5, 13.4"

 private:
  using Kind = std::variant<Interval, Crontab, Solar>;
  explicit Schedule(Kind kind) : kind_(std::move(kind)) {}
  Kind kind_;
};

}  // namespace celeriac
