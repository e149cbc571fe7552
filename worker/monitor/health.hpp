// Whether the worker is alive, has started, and consumes. Pure: times are given, nothing is asked.
//
// Alive is not ready: while the broker is away or frozen the worker is alive and must not be restarted; it
// is not ready, and becomes ready again by itself.
#pragma once

#include <optional>
#include <string>

namespace celeriac {

class Health {
 public:
  // Seconds that the broker may take to answer a question before it counts as frozen.
  static constexpr double patience = 5;

  void on_connected(bool connected) { connected_ = connected; }
  void on_consuming() { started_ = true; }
  void on_going_down() { going_down_ = true; }
  // A question to the broker left. Times in seconds; the first one without an answer counts.
  void on_asked(double now);
  void on_answered(double now);
  // Messages wait and slots are free, but nothing is delivered.
  void on_stalled(bool stalled) { stalled_ = stalled; }

  bool started() const { return started_; }
  bool ready(double now) const { return reason(now).empty(); }
  // Why it is not ready; empty when it is.
  std::string reason(double now) const;

 private:
  bool connected_ = false, started_ = false, going_down_ = false, stalled_ = false;
  std::optional<double> asked_, answered_;
};

}  // namespace celeriac
