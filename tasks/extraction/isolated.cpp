#include "tasks/extraction/isolated.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <system_error>

extern char** environ;

namespace celeriac {
namespace {

using Clock = std::chrono::steady_clock;

struct Running {
  std::size_t index;
  pid_t pid;
  int pipe;
  Clock::time_point ends;
  std::string output;
  bool timed_out = false;
  bool overflow = false;
};

[[noreturn]] void fail(int code, const char* what) {
  throw std::system_error(code, std::generic_category(), what);
}

Running start(std::size_t index, const std::vector<std::string>& command, const IsolatedLimits& limits) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail(errno, "pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  std::vector<char*> argv;
  for (const std::string& argument : command) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  if (error != 0) {
    ::close(ends[0]);
    fail(error, command.front().c_str());
  }
  return {index, pid, ends[0], Clock::now() + limits.deadline, {}};
}

// Reads what is there; false at the end of the output.
bool drain(Running& job, const IsolatedLimits& limits) {
  std::array<char, 65536> buffer;
  const ssize_t got = ::read(job.pipe, buffer.data(), buffer.size());
  if (got < 0) return errno == EINTR || errno == EAGAIN;
  if (got == 0) return false;
  if (job.output.size() + static_cast<std::size_t>(got) > limits.max_output) {
    job.overflow = true;
    ::kill(job.pid, SIGKILL);
  } else {
    job.output.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return true;
}

Extracted<std::string> finish(Running& job) {
  ::close(job.pipe);
  int status = 0;
  while (::waitpid(job.pid, &status, 0) < 0 && errno == EINTR) {
  }
  const auto crashed = [](std::string message) {
    return tl::unexpected(ExtractError{ExtractErrorCode::crashed, std::move(message)});
  };
  if (job.timed_out)
    return tl::unexpected(ExtractError{ExtractErrorCode::timeout, "the process was ended at its deadline"});
  if (job.overflow) return crashed("the process wrote too much");
  if (WIFSIGNALED(status)) return crashed(std::string("the process died: ") + ::strsignal(WTERMSIG(status)));
  if (WEXITSTATUS(status) > 1)
    return crashed("the process ended with " + std::to_string(WEXITSTATUS(status)));
  if (job.output.empty()) return crashed("the process wrote nothing");
  return std::move(job.output);
}

}  // namespace

void run_isolated(const std::vector<std::vector<std::string>>& commands, const IsolatedLimits& limits,
                  const std::function<void(std::size_t, Extracted<std::string>)>& done) {
  std::vector<Running> running;
  std::size_t next = 0;
  while (next < commands.size() || !running.empty()) {
    while (next < commands.size() && running.size() < std::max(1u, limits.parallel)) {
      running.push_back(start(next, commands[next], limits));
      ++next;
    }
    std::vector<pollfd> polled;
    auto soonest = Clock::time_point::max();
    for (const Running& job : running) {
      polled.push_back({job.pipe, POLLIN, 0});
      if (!job.timed_out) soonest = std::min(soonest, job.ends);
    }
    int wait = -1;
    if (soonest != Clock::time_point::max())
      wait = static_cast<int>(std::max<long long>(
          0, std::chrono::ceil<std::chrono::milliseconds>(soonest - Clock::now()).count()));
    if (::poll(polled.data(), polled.size(), wait) < 0 && errno != EINTR) fail(errno, "poll");
    for (std::size_t i = running.size(); i-- > 0;) {
      Running& job = running[i];
      if (!job.timed_out && Clock::now() >= job.ends) {
        job.timed_out = true;
        ::kill(job.pid, SIGKILL);
      }
      if ((polled[i].revents & (POLLIN | POLLHUP | POLLERR)) == 0 || drain(job, limits)) continue;
      Extracted<std::string> result = finish(job);
      const std::size_t index = job.index;
      running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
      done(index, std::move(result));
    }
  }
}

void enter_isolation(std::size_t max_address_space) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
#ifndef __SANITIZE_ADDRESS__  // whose shadow memory alone is larger than any limit
  const rlimit space{max_address_space, max_address_space};
  ::setrlimit(RLIMIT_AS, &space);
#else
  static_cast<void>(max_address_space);
#endif
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
}

}  // namespace celeriac
