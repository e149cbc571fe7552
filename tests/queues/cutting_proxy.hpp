// Stands between a client and a server on the loopback and cuts every connection when told, for servers that
// cannot drop their clients by themselves. Works on a thread of its own.
#pragma once

#include <cstdint>
#include <memory>

namespace celeriac::testing {

class CuttingProxy {
 public:
  explicit CuttingProxy(std::uint16_t server_port);  // on 127.0.0.1
  ~CuttingProxy();
  CuttingProxy(const CuttingProxy&) = delete;
  CuttingProxy& operator=(const CuttingProxy&) = delete;

  std::uint16_t port() const;
  void cut();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace celeriac::testing
