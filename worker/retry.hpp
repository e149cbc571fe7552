// Retries: whether there may be another run, when, and the message that asks for it. Pure: time and chance
// come in as arguments.
#pragma once

#include "protocol/body.hpp"
#include "worker/errors.hpp"
#include "worker/job.hpp"
#include "worker/task_options.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace celeriac {

// `retries` as the message of the present run says; no limit: for ever.
bool retries_used_up(std::int64_t retries, std::optional<int> max_retries);

struct RetryTime {
  double eta = 0;    // Unix seconds
  std::string when;  // "in 3s", or "at ..." when the caller named a time
};
RetryTime retry_time(std::optional<double> eta, std::optional<double> countdown, double default_delay,
                     double now);

// A whole number in [0, bound).
using RandomBelow = std::function<std::uint64_t(std::uint64_t bound)>;

// Seconds before the next run of an automatic retry: exponential with options.retry_backoff as factor,
// at most retry_backoff_max, with full jitter if asked for; default_retry_delay without backoff.
double autoretry_delay(const TaskOptions& options, std::int64_t retries, const RandomBelow& random);

// Names are compared exactly; "Exception" stands for every one.
bool names_exception(const std::vector<std::string>& names, const std::string& type);
bool autoretries(const TaskOptions& options, const ExceptionInfo& exception);

ExceptionInfo max_retries_exceeded(const TaskHeaders& headers, const Json& args, const Json& kwargs);

// "Retry in 1s: ValueError('x')"
std::string retry_reason(const Retry& retry);

// The next run: same id and place in its workflow, one retry more. The body is sent on byte for byte
// unless arguments are replaced or the message came in protocol 1.
Outgoing build_retry(const Job& job, const Body& body, const Retry& retry, double now);

}  // namespace celeriac
