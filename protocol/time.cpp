#include "protocol/time.hpp"

#include "protocol/iso8601.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

namespace celeriac {
namespace {

bool is_leap(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

int days_in_month(int year, int month) {
  constexpr int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  bool done() const { return at_ == text_.size(); }
  char peek() const { return done() ? '\0' : text_[at_]; }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  // Exactly `count` digits.
  bool digits(int count, int& value) {
    value = 0;
    for (int i = 0; i < count; ++i, ++at_) {
      if (peek() < '0' || peek() > '9') return false;
      value = value * 10 + (peek() - '0');
    }
    return true;
  }
  bool at_digit() const { return peek() >= '0' && peek() <= '9'; }
  void skip() { ++at_; }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

bool read_date(Cursor& in, CalendarTime& t) {
  if (!in.digits(4, t.year)) return false;
  const bool dashed = in.take('-');
  if (!in.digits(2, t.month)) return false;
  if (dashed && !in.take('-')) return false;
  if (!in.digits(2, t.day)) return false;
  return t.year >= 1 && t.month >= 1 && t.month <= 12 && t.day >= 1 &&
         t.day <= days_in_month(t.year, t.month);
}

bool read_offset(Cursor& in, CalendarTime& t) {
  if (in.take('Z') || in.take('z')) {
    t.offset = 0;
    return true;
  }
  const bool west = in.peek() == '-';
  if (!in.take('+') && !in.take('-')) return false;
  int hours = 0, minutes = 0, seconds = 0;
  if (!in.digits(2, hours)) return false;
  const bool colons = in.take(':');
  if ((colons || in.at_digit()) && !in.digits(2, minutes)) return false;
  if (colons ? in.take(':') : in.at_digit()) {
    if (!in.digits(2, seconds)) return false;
  }
  if (hours > 23 || minutes > 59 || seconds > 59) return false;
  t.offset = (west ? -1 : 1) * (hours * 3600 + minutes * 60 + seconds);
  return true;
}

bool read_time(Cursor& in, CalendarTime& t) {
  if (!in.digits(2, t.hour)) return false;
  const bool colons = in.take(':');
  if (colons || in.at_digit()) {
    if (!in.digits(2, t.minute)) return false;
    if (colons ? in.take(':') : in.at_digit()) {
      if (!in.digits(2, t.second)) return false;
      if (in.take('.') || in.take(',')) {
        if (!in.at_digit()) return false;
        int scale = 100000;
        for (; in.at_digit(); in.skip(), scale /= 10) t.microsecond += (in.peek() - '0') * scale;
      }
    }
  }
  if (t.hour == 24) return false;
  if (!in.done() && !read_offset(in, t)) return false;
  return t.hour < 24 && t.minute < 60 && t.second < 60;
}

tl::unexpected<Error> bad(std::string_view text) {
  return unexpected("no ISO 8601 time: '" + std::string(text.substr(0, 40)) + "'");
}

}  // namespace

Expected<CalendarTime> parse_calendar_time(std::string_view text) {
  CalendarTime t;
  Cursor in(text);
  if (!read_date(in, t)) return bad(text);
  if (in.done()) return t;
  if (!in.take('T') && !in.take('t') && !in.take(' ')) return bad(text);
  if (!read_time(in, t) || !in.done()) return bad(text);
  return t;
}

Expected<CalendarTime> parse_time_of_day(std::string_view text) {
  CalendarTime t;
  Cursor in(text);
  if (!read_time(in, t) || !in.done()) return bad(text);
  return t;
}

std::string format_date(const CalendarTime& t) {
  char text[32];
  std::snprintf(text, sizeof text, "%04d-%02d-%02d", t.year, t.month, t.day);
  return text;
}

std::string format_time_of_day(const CalendarTime& t) {
  char text[48];
  int size = std::snprintf(text, sizeof text, "%02d:%02d:%02d", t.hour, t.minute, t.second);
  if (t.microsecond != 0) size += std::snprintf(text + size, sizeof text - size, ".%06d", t.microsecond);
  if (t.offset) {
    const int seconds = std::abs(*t.offset);
    size += std::snprintf(text + size, sizeof text - size, "%c%02d:%02d", *t.offset < 0 ? '-' : '+',
                          seconds / 3600, seconds / 60 % 60);
    if (seconds % 60 != 0) std::snprintf(text + size, sizeof text - size, ":%02d", seconds % 60);
  }
  return text;
}

std::int64_t days_since_epoch(int year, int month, int day) {
  using namespace std::chrono;
  return sys_days(std::chrono::year(year) / month / day).time_since_epoch().count();
}

double unix_seconds(const CalendarTime& t) {
  const std::int64_t whole = days_since_epoch(t.year, t.month, t.day) * 86400 + t.hour * 3600 +
                             t.minute * 60 + t.second - t.offset.value_or(0);
  return static_cast<double>(whole) + t.microsecond / 1e6;
}

CalendarTime utc_calendar_time(double seconds) {
  using namespace std::chrono;
  // Years 1 to 9999: what Python's datetime can hold.
  if (!(seconds >= -62135596800.0)) seconds = -62135596800.0;
  seconds = std::min(seconds, 253402300799.0);
  const double whole = std::floor(seconds);
  const auto micros =
      std::chrono::seconds(std::llround(whole)) + microseconds(std::llround((seconds - whole) * 1e6));
  const auto day = floor<days>(micros);
  const year_month_day date{sys_days(day)};
  const hh_mm_ss clock(micros - day);
  CalendarTime t;
  t.year = int(date.year());
  t.month = static_cast<int>(unsigned(date.month()));
  t.day = static_cast<int>(unsigned(date.day()));
  t.hour = static_cast<int>(clock.hours().count());
  t.minute = static_cast<int>(clock.minutes().count());
  t.second = static_cast<int>(clock.seconds().count());
  t.microsecond = static_cast<int>(clock.subseconds().count());
  t.offset = 0;
  return t;
}

Expected<double> parse_iso8601(std::string_view text) {
  const auto time = parse_calendar_time(text);
  if (!time) return tl::unexpected<Error>(time.error());
  return unix_seconds(*time);
}

std::string format_iso8601(double seconds) {
  const CalendarTime t = utc_calendar_time(seconds);
  return format_date(t) + "T" + format_time_of_day(t);
}

double unix_now() {
  using namespace std::chrono;
  return duration<double>(system_clock::now().time_since_epoch()).count();
}

}  // namespace celeriac
