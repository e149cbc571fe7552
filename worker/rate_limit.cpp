#include "worker/rate_limit.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

namespace celeriac {

Expected<double> parse_rate(std::string_view text) {
  if (text.empty()) return 0;
  double unit = 1;
  std::string_view number = text;
  if (const auto slash = text.find('/'); slash != std::string_view::npos) {
    number = text.substr(0, slash);
    const std::string_view suffix = text.substr(slash + 1);
    if (suffix == "s")
      unit = 1;
    else if (suffix == "m")
      unit = 60;
    else if (suffix == "h")
      unit = 3600;
    else
      return unexpected("'" + std::string(text) + "' must end in /s, /m or /h");
  }
  double value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (error != std::errc{} || end != number.data() + number.size() || !std::isfinite(value) || value < 0) {
    return unexpected("'" + std::string(text) + "' is no rate such as 10, 10/s, 90/m or 1000/h");
  }
  return value / unit;
}

void RateLimit::remove(JobId job) {
  waiting_.erase(std::remove(waiting_.begin(), waiting_.end(), job), waiting_.end());
}

JobId RateLimit::take(double now) {
  if (waiting_.empty()) return 0;
  if (rate_ > 0) {
    if (now < token_at_) return 0;
    token_at_ = now + 1 / rate_;
  }
  const JobId job = waiting_.front();
  waiting_.pop_front();
  return job;
}

double RateLimit::next_due(double now) const {
  if (waiting_.empty()) return 0;
  return rate_ > 0 ? std::max(now, token_at_) : now;
}

}  // namespace celeriac
