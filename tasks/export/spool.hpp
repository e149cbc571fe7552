// A file with a random name that vanishes with its object.
#pragma once

#include "tasks/export/writer.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace celeriac {

class Spool {
 public:
  Spool() : path_((std::filesystem::temp_directory_path() / "celeriac-export-XXXXXX").string()) {
    const int fd = ::mkstemp(path_.data());
    if (fd < 0) throw ExportWriteError(path_ + ": cannot be made");
    ::close(fd);
  }
  ~Spool() { ::unlink(path_.c_str()); }
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace celeriac
