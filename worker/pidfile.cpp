#include "worker/pidfile.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace celeriac {
namespace {

// 0 when the file holds no number.
pid_t read_pid(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[32] = {};
  const ssize_t n = ::read(fd, text, sizeof text - 1);
  ::close(fd);
  return n > 0 ? static_cast<pid_t>(std::strtol(text, nullptr, 10)) : 0;
}

bool is_alive(pid_t pid) { return pid > 0 && (::kill(pid, 0) == 0 || errno == EPERM); }

}  // namespace

Expected<Pidfile> Pidfile::create(std::string path) {
  // Twice at most: a stale file is removed once.
  for (int attempt = 0; attempt < 2; ++attempt) {
    const int fd = ::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
    if (fd >= 0) {
      const std::string text = std::to_string(::getpid()) + "\n";
      const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
      ::close(fd);
      if (!written) return unexpected("Pidfile (" + path + ") cannot be written.");
      return Pidfile(std::move(path));
    }
    if (errno != EEXIST) return unexpected("Pidfile (" + path + "): " + std::strerror(errno));
    const pid_t pid = read_pid(path);
    if (pid != ::getpid() && is_alive(pid)) break;
    ::unlink(path.c_str());
  }
  return unexpected("Pidfile (" + path + ") already exists.");
}

Pidfile::~Pidfile() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

}  // namespace celeriac
