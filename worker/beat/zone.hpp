// Wall-clock time of a place, by the time zone database of the system.
#pragma once

#include "protocol/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace date {
class time_zone;
}

namespace celeriac {

// One stretch of time during which a zone's offset from UTC stays the same.
struct ZonePeriod {
  std::int64_t begin = 0, end = 0;  // Unix seconds; begin <= t < end
  std::int64_t offset = 0;          // seconds east of UTC: wall = UTC + offset
  std::int64_t offset_before = 0;   // of the stretch before; the same when there is none
};

// A value; copies are cheap. Any thread.
class Zone {
 public:
  // "Europe/Berlin", "UTC", ...; empty: UTC. The Error names a zone that the database does not know.
  static Expected<Zone> find(std::string_view name);

  ZonePeriod period_at(std::int64_t unix_seconds) const;
  const std::string& name() const { return name_; }
  // "2026-03-29 03:30:00 CEST"
  std::string text(double unix_seconds) const;

 private:
  Zone(const date::time_zone* zone, std::string name) : zone_(zone), name_(std::move(name)) {}
  const date::time_zone* zone_;
  std::string name_;
};

}  // namespace celeriac
