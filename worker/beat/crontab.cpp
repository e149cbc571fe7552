#include "worker/beat/crontab.hpp"

#include <date/date.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <vector>

namespace celeriac {
namespace {

constexpr std::size_t most_text = 1024;  // of one field
// The calendar repeats every 400 years; the rarest match, 29 February on a given weekday, takes at most 40.
constexpr int years_to_search = 41;

struct Field {
  const char* name;
  int least, most;
  std::vector<std::string_view> words;  // the first stands for `least`
};

const std::vector<std::string_view> weekday_words = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
const std::vector<std::string_view> month_words = {"jan", "feb", "mar", "apr", "may", "jun",
                                                   "jul", "aug", "sep", "oct", "nov", "dec"};

tl::unexpected<Error> fault(const Field& field, const std::string& what) {
  return unexpected(std::string("crontab ") + field.name + ": " + what);
}

std::string quoted(std::string_view text) { return "'" + std::string(text) + "'"; }

// Celery looks at the first three letters only: "monday" and "mon" are one.
int word_value(const Field& field, std::string_view text) {
  std::string start(text.substr(0, 3));
  std::transform(start.begin(), start.end(), start.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  const auto found = std::find(field.words.begin(), field.words.end(), start);
  return found == field.words.end() ? -1 : field.least + static_cast<int>(found - field.words.begin());
}

Expected<int> read_number(const Field& field, std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || text[0] == '-' || error != std::errc{} || end != text.data() + text.size()) {
    value = word_value(field, text);
    if (value < 0) {
      return fault(field,
                   quoted(text) + (field.words.empty() ? " is no number" : " is no number and no name"));
    }
  }
  if (value > field.most) {
    return fault(field,
                 "Invalid end range: " + std::to_string(value) + " > " + std::to_string(field.most) + ".");
  }
  if (value < field.least) {
    return fault(field, "Invalid beginning range: " + std::to_string(value) + " < " +
                            std::to_string(field.least) + ".");
  }
  return value;
}

// One of the parts between commas, in the order in which steps count through it.
Expected<std::vector<int>> read_part(const Field& field, std::string_view part) {
  if (part.empty()) return fault(field, "empty part");
  const auto slash = part.find('/');
  const std::string_view range = part.substr(0, slash);
  const auto dash = range.find('-');
  std::vector<int> values;
  const bool star = range == "*", several = star || dash != std::string_view::npos;
  if (several) {
    int first = field.least, last = field.most;
    if (!star) {
      const auto from = read_number(field, range.substr(0, dash)),
                 to = read_number(field, range.substr(dash + 1));
      if (!from) return tl::unexpected(from.error());
      if (!to) return tl::unexpected(to.error());
      first = *from, last = *to;
    }
    const int wrap = field.most - field.least + 1;
    for (int value = first; value <= (last < first ? last + wrap : last); ++value) {
      values.push_back(value > field.most ? value - wrap : value);
    }
  } else {
    if (slash != std::string_view::npos) return fault(field, quoted(part) + ": a step needs a range or '*'");
    const auto value = read_number(field, range);
    if (!value) return tl::unexpected(value.error());
    return std::vector<int>{*value};
  }
  if (slash == std::string_view::npos) return values;
  const std::string_view step_text = part.substr(slash + 1);
  if (step_text.empty()) return fault(field, "empty filter");
  std::size_t step = 0;
  const auto [end, error] = std::from_chars(step_text.data(), step_text.data() + step_text.size(), step);
  if (error != std::errc{} || end != step_text.data() + step_text.size() || step == 0) {
    return fault(field, quoted(part) + ": a step is a whole number, 1 or more");
  }
  std::vector<int> stepped;
  for (std::size_t i = 0; i < values.size(); i += step) stepped.push_back(values[i]);
  return stepped;
}

template <std::size_t N>
Expected<void> read_field(const Field& field, std::string_view text, std::bitset<N>& out) {
  if (text.size() > most_text) return fault(field, "is too long");
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    const auto values = read_part(field, text.substr(at, comma - at));
    if (!values) return tl::unexpected(values.error());
    for (const int value : *values) out.set(static_cast<std::size_t>(value));
    at = comma + 1;
  }
  return {};
}

template <std::size_t N>
std::optional<int> next_set(const std::bitset<N>& bits, int from) {
  for (int i = from; i < static_cast<int>(N); ++i)
    if (bits.test(static_cast<std::size_t>(i))) return i;
  return std::nullopt;
}

std::int64_t floor_minutes(std::int64_t seconds) {
  return seconds >= 0 ? seconds / 60 : -((59 - seconds) / 60);
}

constexpr std::int64_t day_minutes = 24 * 60;

}  // namespace

Expected<Crontab> Crontab::parse(const CrontabFields& fields) {
  static const Field minute{"minute", 0, 59, {}}, hour{"hour", 0, 23, {}},
      day_of_week{"day_of_week", 0, 6, weekday_words}, day_of_month{"day_of_month", 1, 31, {}},
      month_of_year{"month_of_year", 1, 12, month_words};
  Crontab made;
  made.fields_ = fields;
  for (auto read :
       {read_field(minute, fields.minute, made.minutes_), read_field(hour, fields.hour, made.hours_),
        read_field(day_of_week, fields.day_of_week, made.weekdays_),
        read_field(day_of_month, fields.day_of_month, made.days_),
        read_field(month_of_year, fields.month_of_year, made.months_)}) {
    if (!read) return tl::unexpected(read.error());
  }
  if (!made.next_wall(0))
    return unexpected("crontab '" + made.text() + "' never comes: there is no such day");
  return made;
}

Expected<Crontab> Crontab::from_string(std::string_view text) {
  std::array<std::string, 5> words;
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    if (end > at) {
      if (count == words.size()) {
        count = 0;
        break;
      }
      words[count++] = text.substr(at, end - at);
    }
    at = end + 1;
  }
  if (count != words.size()) {
    return unexpected("crontab " + quoted(text) +
                      ": expects five fields: minute, hour, day of month, month, day of week");
  }
  return parse({words[0], words[1], words[4], words[2], words[3]});
}

std::string Crontab::text() const {
  return fields_.minute + " " + fields_.hour + " " + fields_.day_of_month + " " + fields_.month_of_year +
         " " + fields_.day_of_week;
}

std::optional<Crontab::Wall> Crontab::next_wall(Wall from) const {
  using namespace date;
  sys_days day{
      days(static_cast<int>(from >= 0 ? from / day_minutes : (from - day_minutes + 1) / day_minutes))};
  const Wall midnight = Wall{day.time_since_epoch().count()} * day_minutes;
  int minute_of_day = static_cast<int>(from - midnight);
  const sys_days end = day + days(366 * years_to_search);
  for (; day < end; day += days(1), minute_of_day = 0) {
    const year_month_day date(day);
    if (!months_.test(unsigned(date.month()))) {
      day = sys_days(date.year() / date.month() / last);  // the loop goes on to the first of the next month
      continue;
    }
    if (!days_.test(unsigned(date.day())) || !weekdays_.test(weekday(day).c_encoding())) continue;
    for (auto hour = next_set(hours_, minute_of_day / 60); hour; hour = next_set(hours_, *hour + 1)) {
      const int first = *hour * 60 < minute_of_day ? minute_of_day % 60 : 0;
      if (const auto minute = next_set(minutes_, first)) {
        return Wall{day.time_since_epoch().count()} * day_minutes + *hour * 60 + *minute;
      }
    }
  }
  return std::nullopt;
}

double Crontab::next(double after, const Zone& zone) const {
  // Offsets of old times have odd seconds; schedules are of today, so whole minutes do.
  auto at = static_cast<std::int64_t>(std::floor(after));
  ZonePeriod period = zone.period_at(at);
  const auto first_wall = [this](const ZonePeriod& p) {
    const std::int64_t known = hours_.all() ? p.offset : std::max(p.offset, p.offset_before);
    return floor_minutes(p.begin + known);
  };
  Wall from = floor_minutes(at + period.offset) + 1;
  if (period.offset_before > period.offset) from = std::max(from, first_wall(period));
  for (;;) {
    const auto wall = next_wall(from);
    if (!wall) return std::nan("");  // parse() has found one, so only beyond what the calendar can say
    const std::int64_t instant = *wall * 60 - period.offset;
    if (instant < period.end) return static_cast<double>(instant);
    const ZonePeriod following = zone.period_at(period.end);
    const bool in_gap = *wall * 60 < period.end + following.offset;
    if (in_gap) return static_cast<double>(instant);
    from = first_wall(following);
    period = following;
  }
}

}  // namespace celeriac
