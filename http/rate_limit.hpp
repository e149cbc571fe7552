// How many requests a caller may make in an hour. Pure; counts in this process alone.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

namespace celeriac::http {

class RateLimit {
 public:
  static constexpr double window = 3600;  // seconds
  static constexpr std::size_t most_callers = 100000;

  explicit RateLimit(int limit) : limit_(limit) {}

  struct Verdict {
    bool allowed = true;
    int left = 0;
    int reset = 0;  // seconds until the window ends
  };
  int limit() const { return limit_; }  // 0: none
  Verdict count(const std::string& caller, double now) {
    if (limit_ <= 0) return {};
    if (callers_.size() >= most_callers)
      std::erase_if(callers_, [&](const auto& entry) { return now - entry.second.begun >= window; });
    auto& seen = callers_[caller];
    if (seen.count == 0 || now - seen.begun >= window) seen = {now, 0};
    const int reset = static_cast<int>(seen.begun + window - now) + 1;
    if (seen.count >= limit_) return {false, 0, reset};
    ++seen.count;
    return {true, limit_ - seen.count, reset};
  }

 private:
  struct Seen {
    double begun = 0;
    int count = 0;
  };
  int limit_;
  std::unordered_map<std::string, Seen> callers_;
};

}  // namespace celeriac::http
