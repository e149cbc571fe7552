// The order in which a worker goes down: warm, soft, cold, at once. Signals in, steps out.
#pragma once

#include <optional>
#include <string>

namespace celeriac {

class Shutdown {
 public:
  enum class Request { term, interrupt, quit, command };
  enum class Step {
    none,
    warm,    // stop consuming, let running tasks end
    soft,    // the same, but only for soft_timeout seconds; then soft_timeout_passed()
    cold,    // kill running tasks, give their messages back
    abandon  // leave the process now
  };
  struct Options {
    double soft_timeout = 0;    // worker_soft_shutdown_timeout, seconds
    bool soft_on_idle = false;  // worker_enable_soft_shutdown_on_idle
    bool term_is_quit = false;  // REMAP_SIGTERM=SIGQUIT
  };

  explicit Shutdown(Options options) : options_(options) {}

  // `active`: tasks are running. Returns what to do now.
  Step on_request(Request request, bool active);
  Step soft_timeout_passed();

  // What Celery prints for the step just taken; empty when nothing.
  const std::string& notice() const { return notice_; }

  Step step() const { return step_; }  // the furthest step taken
  bool going_down() const { return step_ != Step::none; }
  int exit_code() const { return exit_code_; }
  void fail() { exit_code_ = 1; }

 private:
  Step warm(bool from_keyboard);
  Step terminate(bool active);

  Options options_;
  Step step_ = Step::none;
  bool interrupted_ = false;
  int exit_code_ = 0;
  std::string notice_;
};

}  // namespace celeriac
