// The folder of one `celeriac dev`: data, sockets, and dev.json with the addresses while it runs.
#pragma once

#include "protocol/json.hpp"

#include <cstdint>
#include <string>

namespace celeriac::dev {

struct Ports {
  std::uint16_t redis = 0, postgres = 0;  // of the last run; 0: none yet
};

class Folder {
 public:
  // Creates it and takes its lock. `busy` in the Error's place: another `celeriac dev` has it.
  static Expected<Folder> open(const std::string& path, bool& busy);
  Folder(Folder&& other) noexcept;
  Folder& operator=(Folder&&) = delete;
  ~Folder();  // removes dev.json and the sockets, gives the lock back

  const std::string& path() const { return path_; }  // absolute
  const std::string& run() const { return run_; }    // for sockets; short enough for them
  std::string file(const std::string& name) const { return path_ + "/" + name; }

  Ports last_ports() const;
  Expected<void> remember(Ports ports) const;
  // The database's password: made once, readable by us only.
  Expected<std::string> password() const;
  // Appears whole or not at all.
  Expected<void> publish(const Json& document) const;

 private:
  Folder() = default;

  std::string path_, run_;
  int lock_ = -1;
};

}  // namespace celeriac::dev
