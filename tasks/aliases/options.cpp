#include "tasks/aliases/options.hpp"

#include <cmath>
#include <utility>

namespace celeriac {

TaskOptions alias_options(std::vector<std::string> params, Json defaults, const std::string& queue, int times,
                          double first) {
  TaskOptions options;
  options.params = std::move(params);
  options.defaults = std::move(defaults);
  options.queue = queue;
  options.acks_late = true;
  options.reject_on_worker_lost = true;
  options.max_retries = times;
  options.autoretry_for = {"OperationalError",     "StorageUnavailable",   "DeliveryFailed",
                           "EngineUnavailable",    "VirusScanUnavailable", "DocumentTimeout",
                           "QuickBooksUnavailable"};
  options.retry_backoff = first;
  options.retry_backoff_max = std::ldexp(first, times);
  options.retry_jitter = false;
  options.soft_time_limit = 300;
  options.time_limit = 600;
  return options;
}

}  // namespace celeriac
