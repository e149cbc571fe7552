// A small HTTP server for probes and metrics, on the worker's own loop: GET and HEAD only, a few
// connections, small requests, short time limits.
#pragma once

#include "protocol/error.hpp"

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace celeriac {

struct MonitorAnswer {
  unsigned status = 200;
  std::string body;
  std::string content_type = "text/plain; charset=utf-8";
};

class MonitorServer {
 public:
  // Called with the path; answers once, at once or later.
  using Handler = std::function<void(std::string path, std::function<void(MonitorAnswer)> answer)>;

  // Port 0: any free one. The Error names the address.
  static Expected<std::unique_ptr<MonitorServer>> listen(boost::asio::io_context& io, const std::string& host,
                                                         std::uint16_t port, Handler handler);
  ~MonitorServer();  // closes all connections

  std::uint16_t port() const;

 private:
  struct Impl;
  explicit MonitorServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace celeriac
