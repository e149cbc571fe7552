#include "worker/pool/spawn.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

extern char** environ;

namespace celeriac {
namespace {

std::string failure(const char* what, int error) { return std::string(what) + ": " + std::strerror(error); }

std::vector<std::string> slot_environment() {
  std::vector<std::string> out;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, text.find('='));
    if (!withheld_from_slots(name) && name != "OMP_THREAD_LIMIT") out.emplace_back(text);
  }
  // One slot is one core's worth of work; OpenMP's own threads would fight over the cores.
  out.emplace_back("OMP_THREAD_LIMIT=1");
  return out;
}

struct FileActions {
  posix_spawn_file_actions_t actions;
  FileActions() { posix_spawn_file_actions_init(&actions); }
  ~FileActions() { posix_spawn_file_actions_destroy(&actions); }
};

struct Attributes {
  posix_spawnattr_t attributes;
  Attributes() { posix_spawnattr_init(&attributes); }
  ~Attributes() { posix_spawnattr_destroy(&attributes); }
};

int spawn(int child_end, pid_t& pid) {
  FileActions files;
  posix_spawn_file_actions_addopen(&files.actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files.actions, child_end, slot_socket);
  posix_spawn_file_actions_addclosefrom_np(&files.actions, slot_socket + 1);

  // Its own group: signals typed at the terminal are the parent's affair, and what a task has
  // started can be killed with it.
  Attributes attributes;
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes.attributes, &none);
  posix_spawnattr_setsigdefault(&attributes.attributes, &all);
  posix_spawnattr_setpgroup(&attributes.attributes, 0);
  posix_spawnattr_setflags(&attributes.attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  std::vector<std::string> variables = slot_environment();
  std::vector<char*> environment;
  environment.reserve(variables.size() + 1);
  for (std::string& variable : variables) environment.push_back(variable.data());
  environment.push_back(nullptr);
  std::string marker = slot_marker;
  char* arguments[] = {program_invocation_name, marker.data(), nullptr};
  return posix_spawn(&pid, "/proc/self/exe", &files.actions, &attributes.attributes, arguments,
                     environment.data());
}

}  // namespace

bool withheld_from_slots(std::string_view variable) {
  const bool ours = variable.starts_with("CELERY_") || variable.starts_with("CELERIAC_") ||
                    variable.starts_with("CONFORMANCE_");
  if (!ours) return false;
  for (const char* secret : {"BROKER", "RESULT_BACKEND", "CACHE_BACKEND", "CONFORMANCE_BACKEND", "REDIS_URL"})
    if (variable.find(secret) != variable.npos) return true;
  return false;
}

Expected<SpawnedSlot> spawn_slot() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return unexpected(failure("no socket for a slot", errno));
  SpawnedSlot slot;
  slot.socket = ends[0];
  const int failed = spawn(ends[1], slot.pid);
  close(ends[1]);
  if (failed != 0) {
    close(slot.socket);
    return unexpected(failure("cannot start a slot", failed));
  }
  fcntl(slot.socket, F_SETFL, fcntl(slot.socket, F_GETFL) | O_NONBLOCK);
  // glibc 2.36 declares its wrapper without extern "C".
  slot.pidfd = static_cast<int>(syscall(SYS_pidfd_open, slot.pid, 0));
  if (slot.pidfd < 0) {
    const int error = errno;
    kill(slot.pid, SIGKILL);
    reap_slot(slot.pid, true);
    close(slot.socket);
    return unexpected(failure("cannot watch a slot", error));
  }
  return slot;
}

std::optional<ExitStatus> reap_slot(pid_t pid, bool block) {
  siginfo_t info{};
  int result = 0;
  do {
    result = waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | (block ? 0 : WNOHANG));
  } while (result != 0 && errno == EINTR);
  if (result != 0) return ExitStatus{};  // somebody else has reaped it
  if (info.si_pid == 0) return std::nullopt;
  if (info.si_code == CLD_EXITED) return ExitStatus{0, info.si_status};
  return ExitStatus{info.si_status, 0};
}

}  // namespace celeriac
