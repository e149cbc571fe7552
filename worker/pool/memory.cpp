#include "worker/pool/memory.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string_view>

namespace celeriac {
namespace {

constexpr long noticeable_faults = 64;  // pages

// Small files of /proc are read whole in one call.
std::string_view read_file(const char* path, std::array<char, 4096>& buffer) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  const ssize_t size = read(fd, buffer.data(), buffer.size() - 1);
  close(fd);
  if (size <= 0) return {};
  buffer[static_cast<std::size_t>(size)] = '\0';
  return {buffer.data(), static_cast<std::size_t>(size)};
}

std::uint64_t pages(int column) {
  std::array<char, 4096> buffer;
  const std::string_view text = read_file("/proc/self/statm", buffer);
  if (text.empty()) return 0;
  char* at = buffer.data();
  std::uint64_t value = 0;
  for (int i = 0; i <= column; ++i) value = std::strtoull(at, &at, 10);
  return value * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

long minor_faults() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

bool reset_peak() {
  const int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool done = write(fd, "5", 1) == 1;
  close(fd);
  return done;
}

std::uint64_t peak_bytes() {
  std::array<char, 4096> buffer;
  const std::string_view text = read_file("/proc/self/status", buffer);
  const std::size_t at = text.find("VmHWM:");
  if (at == text.npos) return 0;
  return std::strtoull(text.data() + at + 6, nullptr, 10) * 1024;
}

}  // namespace

std::uint64_t virtual_bytes() { return pages(0); }
std::uint64_t resident_bytes() { return pages(1); }

PeakMemory::PeakMemory() : resettable_(reset_peak()) {
  if (resettable_) last_ = resident_bytes();
}

void PeakMemory::begin() { faults_ = minor_faults(); }

std::uint64_t PeakMemory::end() {
  if (!resettable_ || minor_faults() - faults_ < noticeable_faults) return last_;
  const std::uint64_t peak = peak_bytes();
  reset_peak();
  last_ = resident_bytes();
  return peak;
}

OomWatch::OomWatch() {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);)
    if (line.starts_with("0::")) path_ = "/sys/fs/cgroup" + line.substr(3) + "/memory.events";
  seen_ = count();
}

std::uint64_t OomWatch::count() const {
  std::ifstream events(path_);
  std::string name;
  for (std::uint64_t value = 0; events >> name >> value;)
    if (name == "oom_kill") return value;
  return 0;
}

bool OomWatch::killed_since_last_asked() {
  const std::uint64_t now = count();
  const bool more = now > seen_;
  seen_ = now;
  return more;
}

}  // namespace celeriac
