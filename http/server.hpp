// The HTTP/1.1 server (Boost.Beast): connections, limits and time-outs. What a request means is
// the Service's.
//
// One loop. A body is bounded before its first byte is read; uploads go to a file as they come.
#pragma once

#include "http/exchange.hpp"
#include "protocol/error.hpp"

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace celeriac::http {

class Service {
 public:
  virtual ~Service() = default;

  struct BodyRule {
    std::uint64_t limit = 0;  // bytes
    bool to_file = false;
  };
  // Called when the header is there. A response refuses the request, and its body is not read.
  virtual std::optional<Response> admit(Request& request, BodyRule& rule) = 0;
  virtual void serve(Request request, Respond respond) = 0;
};

struct ServerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8000;             // 0: any free one
  std::string spool_folder = "/tmp";     // where uploads are written first
  std::size_t most_connections = 20000;  // WebSockets among them
};

class Server {
 public:
  // The Error names the address.
  static Expected<std::unique_ptr<Server>> listen(boost::asio::io_context& io, ServerOptions options,
                                                  Service& service);
  ~Server();

  std::uint16_t port() const;
  // Ends what is idle or streams, and accepts no more; `done` runs when every answer has been written.
  void stop(std::function<void()> done);

 private:
  struct Impl;
  explicit Server(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace celeriac::http
