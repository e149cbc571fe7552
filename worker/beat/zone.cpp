#include "worker/beat/zone.hpp"

#include <date/tz.h>

#include <cmath>
#include <stdexcept>

namespace celeriac {

Expected<Zone> Zone::find(std::string_view name) {
  const std::string wanted(name.empty() ? "UTC" : name);
  try {
    return Zone(date::locate_zone(wanted), wanted);
  } catch (const std::runtime_error&) {
    return unexpected("timezone: no zone '" + wanted +
                      "' in the system's time zone database (package tzdata)");
  }
}

ZonePeriod Zone::period_at(std::int64_t unix_seconds) const {
  const date::sys_info info = zone_->get_info(date::sys_seconds(std::chrono::seconds(unix_seconds)));
  ZonePeriod period;
  period.begin = info.begin.time_since_epoch().count();
  period.end = info.end.time_since_epoch().count();
  period.offset = period.offset_before = info.offset.count();
  // Before the first change that the database knows there is nothing to ask for.
  if (info.begin > date::sys_days(date::year(1800) / 1 / 1)) {
    period.offset_before = zone_->get_info(info.begin - std::chrono::seconds(1)).offset.count();
  }
  return period;
}

std::string Zone::text(double unix_seconds) const {
  const date::sys_seconds when(std::chrono::seconds(static_cast<std::int64_t>(std::floor(unix_seconds))));
  return date::format("%F %T %Z", date::make_zoned(zone_, when));
}

}  // namespace celeriac
