// The parts of an ISO 8601 text, for those who need more than the instant: a value without an
// offset, a date alone or a time of day alone.
#pragma once

#include "protocol/error.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace celeriac {

struct CalendarTime {
  int year = 1970, month = 1, day = 1;
  int hour = 0, minute = 0, second = 0, microsecond = 0;
  std::optional<int> offset;  // seconds east of UTC; nothing: a naive value
};

// "2026-11-20", "20261120", or a date, 'T' or a blank, and a time of day.
Expected<CalendarTime> parse_calendar_time(std::string_view text);
// "03:04:05.6", "030405", "03:04", with or without an offset; the date stays 1970-01-01.
Expected<CalendarTime> parse_time_of_day(std::string_view text);

std::string format_date(const CalendarTime& time);         // "2026-11-20"
std::string format_time_of_day(const CalendarTime& time);  // "03:04:05.600000+02:00"; no fraction when zero

std::int64_t days_since_epoch(int year, int month, int day);
double unix_seconds(const CalendarTime& time);  // naive values are UTC
CalendarTime utc_calendar_time(double unix_seconds);

}  // namespace celeriac
