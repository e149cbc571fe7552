#include "worker/beat/schedule.hpp"

#include "config/nearest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace celeriac {
namespace {

constexpr double never = std::numeric_limits<double>::infinity();
constexpr double most_seconds = 100 * 366 * 86400.0;

struct Unit {
  std::string_view name;
  double seconds;
};
constexpr Unit units[] = {{"seconds", 1},    {"minutes", 60},        {"hours", 3600},       {"days", 86400},
                          {"weeks", 604800}, {"milliseconds", 1e-3}, {"microseconds", 1e-6}};

Expected<Schedule> fault(const std::string& what) { return unexpected("schedule: " + what); }

Expected<Interval> interval(double seconds, bool relative) {
  if (!std::isfinite(seconds) || seconds <= 0 || seconds > most_seconds) {
    return unexpected("schedule: an interval is more than 0 seconds and at most 100 years");
  }
  return Interval{seconds, relative};
}

std::string joined(const std::vector<std::string_view>& words) {
  std::string out;
  for (const auto word : words) out += (out.empty() ? "" : ", ") + std::string(word);
  return out;
}

// A field of a crontab: 7, "*/5" or [1, 2].
Expected<std::string> crontab_field(const std::string& name, const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_integer()) return std::to_string(value.get<std::int64_t>());
  if (value.is_array() && !value.empty()) {
    std::string list;
    for (const Json& item : value) {
      if (!item.is_number_integer()) return unexpected("schedule: " + name + " lists whole numbers");
      list += (list.empty() ? "" : ",") + std::to_string(item.get<std::int64_t>());
    }
    return list;
  }
  return unexpected("schedule: " + name + " expects a number, a text such as \"*/5\" or a list of numbers");
}

bool has_any(const Json& table, const std::vector<std::string_view>& names) {
  return std::any_of(names.begin(), names.end(), [&](std::string_view name) { return table.contains(name); });
}

// The name of a member that does not belong into this kind of table; empty: there is none.
std::string stranger(const Json& table, const std::vector<std::string_view>& names) {
  for (const auto& [name, value] : table.items()) {
    if (std::find(names.begin(), names.end(), name) == names.end()) return name;
  }
  return {};
}

std::string stranger_text(const std::string& name, const std::vector<std::string_view>& known) {
  const auto near = nearest_word(name, known);
  return "'" + name + "' does not belong here" +
         (near.empty() ? "; known: " + joined(known) : "; did you mean " + std::string(near) + "?");
}

double floor_to(double value, double step) { return std::floor(value / step) * step; }

}  // namespace

Expected<Schedule> Schedule::read(const Json& value, bool relative) {
  static const std::vector<std::string_view> cron_names = {"minute", "hour", "day_of_week", "day_of_month",
                                                           "month_of_year"};
  static const std::vector<std::string_view> solar_names = {"event", "lat", "lon"};
  static const std::vector<std::string_view> unit_names = [] {
    std::vector<std::string_view> names;
    for (const Unit& unit : units) names.push_back(unit.name);
    return names;
  }();
  if (value.is_number()) {
    auto made = interval(value.get<double>(), relative);
    if (!made) return tl::unexpected(made.error());
    return Schedule(*made);
  }
  if (value.is_string()) {
    auto made = Crontab::from_string(value.get_ref<const std::string&>());
    if (!made) return tl::unexpected(made.error());
    return Schedule(std::move(*made));
  }
  if (!value.is_object() || value.empty()) {
    return fault("expects seconds, a crontab such as \"*/5 * * * *\", or a table");
  }
  if (has_any(value, solar_names)) {
    if (const auto name = stranger(value, solar_names); !name.empty())
      return fault(stranger_text(name, solar_names));
    if (!value.contains("event") || !value.at("event").is_string() || !value.contains("lat") ||
        !value.at("lat").is_number() || !value.contains("lon") || !value.at("lon").is_number()) {
      return fault("the sun needs event = \"...\", lat = DEGREES and lon = DEGREES");
    }
    auto made = Solar::make(value.at("event").get_ref<const std::string&>(), value.at("lat").get<double>(),
                            value.at("lon").get<double>());
    if (!made) return tl::unexpected(made.error());
    return Schedule(std::move(*made));
  }
  if (has_any(value, unit_names)) {
    if (const auto name = stranger(value, unit_names); !name.empty())
      return fault(stranger_text(name, unit_names));
    double seconds = 0;
    for (const Unit& unit : units) {
      const auto found = value.find(unit.name);
      if (found == value.end()) continue;
      if (!found->is_number()) return fault(std::string(unit.name) + " expects a number");
      seconds += found->get<double>() * unit.seconds;
    }
    auto made = interval(seconds, relative);
    if (!made) return tl::unexpected(made.error());
    return Schedule(*made);
  }
  if (const auto name = stranger(value, cron_names); !name.empty()) {
    std::vector<std::string_view> all = cron_names;
    all.insert(all.end(), unit_names.begin(), unit_names.end());
    all.insert(all.end(), solar_names.begin(), solar_names.end());
    return fault(stranger_text(name, all));
  }
  CrontabFields fields;
  for (auto [name, field] : {std::pair{"minute", &fields.minute},
                             {"hour", &fields.hour},
                             {"day_of_week", &fields.day_of_week},
                             {"day_of_month", &fields.day_of_month},
                             {"month_of_year", &fields.month_of_year}}) {
    const auto found = value.find(name);
    if (found == value.end()) continue;
    auto text = crontab_field(name, *found);
    if (!text) return tl::unexpected(text.error());
    *field = std::move(*text);
  }
  auto made = Crontab::parse(fields);
  if (!made) return tl::unexpected(made.error());
  return Schedule(std::move(*made));
}

double Schedule::next(double last, const Zone& zone) const {
  if (const auto* every = std::get_if<Interval>(&kind_)) {
    const double due = last + every->seconds;
    if (!every->relative || every->seconds < 60) return due;
    const double step = every->seconds >= 86400 ? 86400 : every->seconds >= 3600 ? 3600 : 60;
    const auto offset = static_cast<double>(zone.period_at(static_cast<std::int64_t>(due)).offset);
    return floor_to(due + offset, step) - offset;
  }
  if (const auto* crontab = std::get_if<Crontab>(&kind_)) {
    const double due = crontab->next(last, zone);
    return std::isfinite(due) ? due : never;
  }
  return std::get<Solar>(kind_).next(last).value_or(never);
}

Due Schedule::look(double last, double now, const Zone& zone, const std::optional<double>& deadline) const {
  const double due = next(last, zone);
  if (due > now) return {false, due};
  constexpr double a_moment = 0.001;  // a time that is exactly the deadline old still counts
  if (deadline && std::holds_alternative<Crontab>(kind_) &&
      next(std::max(last, now - *deadline - a_moment), zone) > now) {
    return {false, next(now, zone)};
  }
  return {true, next(now, zone)};
}

std::string Schedule::text() const {
  if (const auto* every = std::get_if<Interval>(&kind_)) {
    return fmt::format("every {}s{}", every->seconds, every->relative ? ", relative" : "");
  }
  if (const auto* crontab = std::get_if<Crontab>(&kind_)) return crontab->text();
  return std::get<Solar>(kind_).text();
}

}  // namespace celeriac
