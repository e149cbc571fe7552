// ISO 8601 as Celery writes and reads it. Times are Unix seconds (double, microsecond use).
#pragma once

#include "protocol/error.hpp"

#include <string>
#include <string_view>

namespace celeriac {

// "2026-11-20T11:06:40.143378+00:00", "...Z", other offsets, or naive (UTC); a date alone is midnight.
Expected<double> parse_iso8601(std::string_view text);

// "2026-11-20T11:06:40.143378+00:00"; without a fraction when it is zero, as Python does.
std::string format_iso8601(double unix_seconds);

double unix_now();

}  // namespace celeriac
