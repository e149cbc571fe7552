// How those systems' tasks are retried and bounded.
#pragma once

#include "worker/app.hpp"

#include <string>
#include <vector>

namespace celeriac {

// For a task of `queue`: acknowledged late; what may pass (a database, storage or service that is away) is
// tried `times` more, after `first` seconds, then twice as long each time, as their `countdown = first * 2 **
// retries`; 300 s, and 600 s at most, as their workers are configured. `defaults` are those of `params`.
TaskOptions alias_options(std::vector<std::string> params, Json defaults, const std::string& queue, int times,
                          double first);

}  // namespace celeriac
