// How much memory a slot uses, and whether the kernel took one for using too much.
#pragma once

#include <cstdint>
#include <string>

namespace celeriac {

std::uint64_t resident_bytes();  // of this process, now
std::uint64_t virtual_bytes();

// The highest resident size of this process during one run: VmHWM, which is set back before. A run that
// touched hardly a new page is not worth the system calls; its answer is the last one known.
class PeakMemory {
 public:
  PeakMemory();
  void begin();
  std::uint64_t end();  // 0: the kernel does not let us tell

 private:
  bool resettable_ = false;
  long faults_ = 0;
  std::uint64_t last_ = 0;
};

// The out-of-memory kills in this process's control group (version 2).
class OomWatch {
 public:
  OomWatch();
  bool killed_since_last_asked();

 private:
  std::uint64_t count() const;

  std::string path_;
  std::uint64_t seen_ = 0;
};

}  // namespace celeriac
