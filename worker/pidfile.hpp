// The pidfile of a worker: made exclusively, removed at the end, and refused while the process it
// names is alive.
#pragma once

#include "protocol/error.hpp"

#include <string>

namespace celeriac {

class Pidfile {
 public:
  // An Error says that another worker runs with it (exit code 73), or why it cannot be written.
  static Expected<Pidfile> create(std::string path);

  Pidfile(Pidfile&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  Pidfile& operator=(Pidfile&&) = delete;
  ~Pidfile();  // removes it

 private:
  explicit Pidfile(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace celeriac
