// Runs a few services in the foreground: their output with a prefix, restarts, and an ordered end.
//
// Single-threaded; blocks SIGINT, SIGTERM, SIGHUP and SIGCHLD for the process while it lives and reads them
// from a descriptor instead.
#pragma once

#include "cli/dev/child_process.hpp"

#include <chrono>
#include <functional>
#include <iosfwd>
#include <list>
#include <memory>
#include <string>
#include <vector>

namespace celeriac::dev {

class Supervisor {
 public:
  Supervisor(std::ostream& out, bool color);
  ~Supervisor();  // kills what still runs
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  struct Service {
    ChildOptions child;
    int stop_signal = SIGTERM;
    std::chrono::seconds patience{0};  // after stop_signal, until SIGKILL; 0: for ever
    // Asked until true before start() returns; `line` is the newest line of output or empty.
    std::function<bool(const std::string& line)> ready;
  };

  // Starts it and waits until it is ready. The Error says why it is not; "interrupted" after a signal.
  Expected<void> start(Service service);
  // Runs a program to its end; the Error carries the end of its output.
  Expected<void> run(const ChildOptions& child);

  // Until a signal, or until a service keeps dying. Dead services are started again. Returns true for a
  // signal.
  bool supervise();
  // Ends the services, last started first. Another signal meanwhile kills the one being waited for.
  void stop();

  bool interrupted() const { return interrupted_; }
  void say(const std::string& text);  // a line of our own
  pid_t pid_of(const std::string& name) const;

 private:
  struct Running {
    Service service;
    std::unique_ptr<ChildProcess> child;
    std::string buffer;
    std::chrono::steady_clock::time_point started, restart_at;
    int quick_deaths = 0;
  };

  Expected<void> launch(Running& running);
  // Waits at most `limit` for output or signals and passes output on; lines go to `on_line` too.
  void pump(std::chrono::milliseconds limit,
            const std::function<void(Running&, const std::string&)>& on_line = {});
  void drain(Running& running, const std::function<void(Running&, const std::string&)>& on_line);
  void print_line(const Running& running, const std::string& line);
  bool revive(Running& running);

  std::ostream& out_;
  bool color_;
  int signals_ = -1;
  bool interrupted_ = false;
  int interrupts_ = 0;
  std::list<Running> services_;
};

}  // namespace celeriac::dev
