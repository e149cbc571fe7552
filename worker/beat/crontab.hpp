// Celery's crontab: the grammar of its five fields, and the next time one matches.
//
// All five fields must match: day_of_week and day_of_month too, unlike in Vixie cron. Times are those of the
// wall clock of a zone. Where the clock is put forward, a time that does not exist is taken as if it had not
// been (02:30 becomes 03:30). Where it is put back, a crontab of every hour goes on through the hour that
// comes twice, one of given hours runs at the first.
#pragma once

#include "protocol/error.hpp"
#include "worker/beat/zone.hpp"

#include <bitset>
#include <optional>
#include <string>
#include <string_view>

namespace celeriac {

struct CrontabFields {
  std::string minute = "*", hour = "*", day_of_week = "*", day_of_month = "*", month_of_year = "*";
};

class Crontab {
 public:
  // Numbers, names ("mon", "January"), ranges that may wrap ("fri-mon"), steps ("*/5", "8-18/2"), lists by
  // comma. The Error names the field and what is wrong with it.
  static Expected<Crontab> parse(const CrontabFields& fields);
  // The usual order of cron: minute, hour, day of month, month, day of week.
  static Expected<Crontab> from_string(std::string_view text);

  // The first minute after `after` (Unix seconds) that matches; the minute of `after` itself does not count.
  double next(double after, const Zone& zone) const;
  std::string text() const;  // in the usual order of cron

 private:
  using Wall = std::int64_t;  // minutes of the wall clock since 1970-01-01 00:00

  Crontab() = default;
  std::optional<Wall> next_wall(Wall from) const;  // `from` included

  CrontabFields fields_;
  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<7> weekdays_;  // 0: Sunday
  std::bitset<32> days_;
  std::bitset<13> months_;
};

}  // namespace celeriac
