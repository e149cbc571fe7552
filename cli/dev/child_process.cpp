#include "cli/dev/child_process.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace celeriac::dev {
namespace {

std::string system_error(const char* what) { return std::string(what) + ": " + std::strerror(errno); }

// Runs in the child between fork and exec; only async-signal-safe calls. The step that failed is the
// exit code's meaning for the parent, through `report`.
[[noreturn]] void become(const ChildOptions& options, char* const* argv, char* const* envp, int output,
                         pid_t parent, int report) {
  auto fail = [&] {
    int code = errno;
    (void)!write(report, &code, sizeof code);
    _exit(127);
  };
  // A terminal's Ctrl-C must reach only us: we end the children in their order.
  if (setpgid(0, 0) != 0) fail();
  int null = open("/dev/null", O_RDONLY);
  if (null < 0 || dup2(null, STDIN_FILENO) < 0) fail();
  if (dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0) fail();
  if (options.user) {
    auto [uid, gid] = *options.user;
    if (setgroups(1, &gid) != 0 || setgid(gid) != 0 || setuid(uid) != 0) fail();
  }
  // After setuid, which clears it. If the parent is gone already the notice would never come.
  if (prctl(PR_SET_PDEATHSIG, options.signal_when_we_die) != 0) fail();
  if (getppid() != parent) _exit(127);
  if (!options.directory.empty() && chdir(options.directory.c_str()) != 0) fail();
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execve(argv[0], argv, envp);
  fail();
  _exit(127);
}

std::vector<std::string> environment_with(const std::map<std::string, std::string>& more) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    std::string text(*entry);
    if (more.count(text.substr(0, text.find('='))) == 0) out.push_back(std::move(text));
  }
  for (const auto& [name, value] : more) out.push_back(name + "=" + value);
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  out.reserve(words.size() + 1);
  for (auto& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

Expected<ChildProcess> ChildProcess::start(const ChildOptions& options) {
  int output[2], report[2];
  if (pipe2(output, O_CLOEXEC) != 0) return unexpected(system_error("pipe"));
  if (pipe2(report, O_CLOEXEC) != 0) {
    auto error = system_error("pipe");
    close(output[0]), close(output[1]);
    return unexpected(error);
  }
  auto words = options.command;
  auto variables = environment_with(options.environment);
  auto argv = pointers(words), envp = pointers(variables);
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid == 0) become(options, argv.data(), envp.data(), output[1], parent, report[1]);
  int fork_error = errno;
  close(output[1]), close(report[1]);
  int child_error = pid < 0 ? fork_error : 0;
  if (pid > 0 && read(report[0], &child_error, sizeof child_error) > 0) waitpid(pid, nullptr, 0);
  close(report[0]);
  if (child_error != 0) {
    close(output[0]);
    return unexpected("cannot start " + options.command[0] + ": " + std::strerror(child_error));
  }
  fcntl(output[0], F_SETFL, O_NONBLOCK);
  ChildProcess child;
  child.name_ = options.name;
  child.pid_ = pid;
  child.output_ = output[0];
  return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : name_(std::move(other.name_)),
      pid_(other.pid_),
      output_(other.output_),
      status_(other.status_),
      ended_(other.ended_) {
  other.pid_ = other.output_ = -1;
  other.ended_ = true;
}

ChildProcess::~ChildProcess() {
  close_output();
  if (pid_ > 0 && running()) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
}

void ChildProcess::close_output() {
  if (output_ >= 0) close(output_);
  output_ = -1;
}

void ChildProcess::signal(int number) const {
  if (pid_ > 0 && !ended_) kill(pid_, number);
}

bool ChildProcess::running() {
  if (ended_ || pid_ <= 0) return false;
  ended_ = waitpid(pid_, &status_, WNOHANG) == pid_;
  return !ended_;
}

std::string ChildProcess::how_it_ended() const {
  if (WIFSIGNALED(status_))
    return "signal " + std::to_string(WTERMSIG(status_)) + " (" + strsignal(WTERMSIG(status_)) + ")";
  return "exit code " + std::to_string(WEXITSTATUS(status_));
}

}  // namespace celeriac::dev
