// A temporary file without a name: whatever becomes of the process, nothing of it stays.
#pragma once

#include "tasks/store/storage.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace celeriac {

class UnnamedFile {
 public:
  // In TMPDIR. Throws StorageError.
  UnnamedFile() {
    std::error_code missing;
    std::string name = (std::filesystem::temp_directory_path(missing) / "celeriac-XXXXXX").string();
    fd_ = missing ? -1 : ::mkostemp(name.data(), O_CLOEXEC);
    if (fd_ < 0)
      throw StorageError(StorageFailure::io,
                         "a temporary file: " + (missing ? "TMPDIR: " + missing.message()
                                                         : std::generic_category().message(errno)));
    ::unlink(name.c_str());
  }
  ~UnnamedFile() { ::close(fd_); }
  UnnamedFile(const UnnamedFile&) = delete;
  UnnamedFile& operator=(const UnnamedFile&) = delete;

  int fd() const { return fd_; }
  // Opens the file from its beginning, in this process and as long as this object lives.
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

}  // namespace celeriac
