#include "worker/shutdown.hpp"

#include <fmt/format.h>

namespace celeriac {

Shutdown::Step Shutdown::on_request(Request request, bool active) {
  notice_.clear();
  if (request == Request::term && options_.term_is_quit) request = Request::quit;
  switch (request) {
    case Request::term:
    case Request::command:
      return going_down() ? Step::none : warm(false);
    case Request::interrupt:
      if (!going_down()) return warm(true);
      // Only Ctrl+C after Ctrl+C goes further: it must not undo a supervisor's warm stop.
      if (step_ == Step::warm && !interrupted_) {
        interrupted_ = true;
        return Step::none;
      }
      return terminate(active);
    case Request::quit:
      return terminate(active);
  }
  return Step::none;
}

Shutdown::Step Shutdown::warm(bool from_keyboard) {
  step_ = Step::warm;
  interrupted_ = from_keyboard;
  if (from_keyboard) {
    exit_code_ = 1;
    notice_ = "worker: Hitting Ctrl+C again will initiate cold shutdown, terminating all running tasks!\n\n";
  }
  notice_ += "worker: Warm shutdown (MainProcess)";
  return step_;
}

Shutdown::Step Shutdown::terminate(bool active) {
  switch (step_) {
    case Step::none:
    case Step::warm:
      if (options_.soft_timeout > 0 && (active || options_.soft_on_idle)) {
        notice_ = fmt::format("Initiating Soft Shutdown, terminating in {:g} seconds", options_.soft_timeout);
        return step_ = Step::soft;
      }
      [[fallthrough]];
    case Step::soft:
      notice_ = "worker: Cold shutdown (MainProcess)";
      return step_ = Step::cold;
    case Step::cold:
    case Step::abandon:
      return step_ = Step::abandon;
  }
  return Step::none;
}

Shutdown::Step Shutdown::soft_timeout_passed() {
  notice_.clear();
  if (step_ != Step::soft) return Step::none;
  notice_ = "worker: Cold shutdown (MainProcess)";
  return step_ = Step::cold;
}

}  // namespace celeriac
