// A private memcached for a test: a free loopback port, ended with the object.
#pragma once

#include <sys/types.h>
#include <cstdint>
#include <string>

namespace celeriac::testing {

class MemcachedServer {
 public:
  // On a free port unless one is given. Throws std::runtime_error when it does not come up.
  explicit MemcachedServer(std::string largest_value = "64m", std::uint16_t port = 0);
  ~MemcachedServer();
  MemcachedServer(const MemcachedServer&) = delete;
  MemcachedServer& operator=(const MemcachedServer&) = delete;

  std::uint16_t port() const { return port_; }
  std::string url() const { return "cache+memcached://127.0.0.1:" + std::to_string(port_) + "/"; }
  std::string command(const std::string& line) const;  // the first line of the answer

 private:
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace celeriac::testing
