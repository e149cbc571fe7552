// Times given by the sun: Celery's solar schedule, computed by libnova.
#pragma once

#include "protocol/error.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace celeriac {

class Solar {
 public:
  // Celery's names: dawn_astronomical, dawn_nautical, dawn_civil, sunrise, solar_noon, sunset, dusk_civil,
  // dusk_nautical, dusk_astronomical. Degrees, north and east positive.
  static Expected<Solar> make(std::string_view event, double latitude, double longitude);

  // The next time after `after` (Unix seconds); nothing when it does not come within a year.
  std::optional<double> next(double after) const;
  std::string text() const;  // "sunset at 52.52, 13.405"

 private:
  Solar(std::string event, double latitude, double longitude, double horizon, int which)
      : event_(std::move(event)),
        latitude_(latitude),
        longitude_(longitude),
        horizon_(horizon),
        which_(which) {}

  std::string event_;
  double latitude_, longitude_;
  double horizon_;  // degrees
  int which_;       // -1: the sun rises through the horizon, 0: it stands highest, 1: it sets
};

}  // namespace celeriac
