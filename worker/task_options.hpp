// Options of one task. Names and defaults are Celery's task attributes.
#pragma once

#include "protocol/json.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace celeriac {

struct TaskOptions {
  std::vector<std::string> params = {};       // names of the arguments after Context
  std::map<std::string, Json> defaults = {};  // by parameter name
  std::map<std::string, Json> schemas =
      {};                              // JSON Schema by parameter name, where it says more than the type
  std::string queue = {};              // default route; empty: the app's default queue
  std::optional<bool> acks_late = {};  // unset: task_acks_late
  std::optional<bool> acks_on_failure_or_timeout = {};
  std::optional<bool> acks_on_failure = {}, acks_on_timeout = {};  // unset: the one above
  std::optional<bool> reject_on_worker_lost = {};
  std::optional<bool> ignore_result = {};
  std::optional<bool> track_started = {};
  std::optional<int> max_retries = 3;                           // nullopt: for ever
  double default_retry_delay = 180;                             // seconds
  std::optional<double> soft_time_limit = {}, time_limit = {};  // seconds
  std::optional<std::string> rate_limit = {};                   // "10/m"
  std::vector<std::string> autoretry_for = {};  // exception type names; "Exception" matches all
  std::vector<std::string> dont_autoretry_for = {};
  double retry_backoff = 0;  // factor in seconds; 0: no backoff
  double retry_backoff_max = 600;
  bool retry_jitter = true;
  std::vector<std::string> throws = {};  // expected exception types: logged at INFO
  bool send_events = true;
  bool store_errors_even_if_ignored = false;
};

}  // namespace celeriac
