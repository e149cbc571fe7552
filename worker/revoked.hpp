// Task ids that must not run: revoked by a command, or seen to have expired.
//
// Bounded in number and time as in Celery; the oldest are forgotten first. Times are Unix
// seconds, given by the caller, so that a saved set means the same after a restart.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace celeriac {

class RevokedSet {
 public:
  explicit RevokedSet(std::size_t max = 50000, double ttl = 10800) : max_(max), ttl_(ttl) {}

  void add(std::string id, double now);  // again: its time starts anew
  bool contains(const std::string& id, double now) const;
  void discard(const std::string& id) { added_.erase(id); }
  std::size_t size() const { return added_.size(); }
  bool empty() const { return added_.empty(); }
  const std::unordered_map<std::string, double>& entries() const { return added_; }  // id -> when

 private:
  void forget_old(double now);

  std::size_t max_;
  double ttl_;
  std::unordered_map<std::string, double> added_;
  std::deque<std::pair<double, std::string>> order_;  // may hold stale entries: added_ decides
};

}  // namespace celeriac
