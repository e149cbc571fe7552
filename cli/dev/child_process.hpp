// A child process that cannot outlive us: the kernel signals it when we die, even by SIGKILL.
#pragma once

#include "protocol/error.hpp"

#include <sys/types.h>
#include <csignal>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace celeriac::dev {

struct ChildOptions {
  std::string name;                                // prefix of its output
  std::vector<std::string> command;                // command[0] is a path
  std::map<std::string, std::string> environment;  // on top of ours
  std::string directory;                           // to run in; empty: ours
  std::optional<std::pair<uid_t, gid_t>> user;     // to become, when we are root
  int signal_when_we_die = SIGTERM;
};

// Owned by the thread that started it: the kernel's notice is tied to that thread.
class ChildProcess {
 public:
  static Expected<ChildProcess> start(const ChildOptions& options);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  ~ChildProcess();  // SIGKILL and reaped when it still runs

  const std::string& name() const { return name_; }
  pid_t pid() const { return pid_; }
  int output() const { return output_; }  // stdout and stderr, non-blocking; -1 at its end
  void close_output();

  void signal(int number) const;
  bool running();  // reaps it when it has ended
  int wait_status() const { return status_; }
  std::string how_it_ended() const;  // "exit code 1", "signal 9 (Killed)"

 private:
  ChildProcess() = default;

  std::string name_;
  pid_t pid_ = -1;
  int output_ = -1, status_ = 0;
  bool ended_ = false;
};

}  // namespace celeriac::dev
