// Levels for Context::log: spdlog's.
#pragma once

namespace celeriac {

inline constexpr int log_info = 2, log_warning = 3;

}  // namespace celeriac
