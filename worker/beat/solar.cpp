#include "worker/beat/solar.hpp"

#include <fmt/format.h>
#include <libnova/julian_day.h>
#include <libnova/rise_set.h>
#include <libnova/solar.h>

#include <cmath>

namespace celeriac {
namespace {

constexpr double a_moment = 300;  // two computations of one event may differ by seconds
constexpr double seconds_a_day = 86400, unix_epoch_jd = 2440587.5;
// Celery's: the upper edge of the sun at the horizon, 34' of refraction. Twilight counts the sun's centre.
constexpr double edge = -50.0 / 60.0;

struct Event {
  std::string_view name;
  double horizon;
  int which;
};
constexpr Event events[] = {
    {"dawn_astronomical", -18, -1}, {"dawn_nautical", -12, -1}, {"dawn_civil", -6, -1},
    {"sunrise", edge, -1},          {"solar_noon", edge, 0},    {"sunset", edge, 1},
    {"dusk_civil", -6, 1},          {"dusk_nautical", -12, 1},  {"dusk_astronomical", -18, 1},
};

}  // namespace

Expected<Solar> Solar::make(std::string_view event, double latitude, double longitude) {
  if (!(std::abs(latitude) <= 90))
    return unexpected(fmt::format("solar lat: {} is not within -90 and 90", latitude));
  if (!(std::abs(longitude) <= 180))
    return unexpected(fmt::format("solar lon: {} is not within -180 and 180", longitude));
  std::string known;
  for (const Event& candidate : events) {
    if (candidate.name == event)
      return Solar(std::string(event), latitude, longitude, candidate.horizon, candidate.which);
    known += (known.empty() ? "" : ", ") + std::string(candidate.name);
  }
  return unexpected("solar event: no '" + std::string(event) + "'; known: " + known);
}

std::optional<double> Solar::next(double after) const {
  ln_lnlat_posn place{longitude_, latitude_};
  constexpr int days_to_search = 370;  // the polar night and the midnight sun end within a year
  constexpr double step = seconds_a_day / 4;
  // libnova looks a day ahead, and may find again what has just been. The sun passes its highest point every
  // day, also where it does not rise: for that one any horizon does.
  const double horizon = which_ == 0 ? -90 : horizon_;
  for (double from = after; from < after + days_to_search * seconds_a_day; from += step) {
    ln_rst_time times{};
    const double jd = from / seconds_a_day + unix_epoch_jd;
    const int state = ln_get_body_next_rst_horizon(jd, &place, ln_get_solar_equ_coords, horizon, &times);
    if (state != 0 && which_ != 0) continue;
    const double found = which_ < 0 ? times.rise : which_ > 0 ? times.set : times.transit;
    const double seconds = (found - unix_epoch_jd) * seconds_a_day;
    if (std::isfinite(seconds) && seconds > after + a_moment && seconds < from + 2 * seconds_a_day)
      return seconds;
  }
  return std::nullopt;
}

std::string Solar::text() const { return fmt::format("{} at {}, {}", event_, latitude_, longitude_); }

}  // namespace celeriac
