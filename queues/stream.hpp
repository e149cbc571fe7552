// A connected byte stream over TCP, a Unix socket or TLS, behind one interface, and the
// asynchronous way to get one. Name resolution never blocks the loop.
//
// Concurrency: everything runs on the io_context given. One read and one write may be
// under way at a time; the caller's memory stays valid until the handler has run. A stream
// stays alive by itself while an operation is under way.
#pragma once

#include "config/settings.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace celeriac {

struct Endpoint {
  std::string host;  // name or address; not used when `path` is set
  std::uint16_t port = 0;
  std::string path;  // a Unix socket
  bool tls = false;
  TlsOptions tls_options;  // verify: certificate chain and host name (server_hostname, else host)
};

class Stream : public std::enable_shared_from_this<Stream> {
 public:
  using Handler = std::function<void(boost::system::error_code, std::size_t)>;

  virtual ~Stream() = default;
  virtual void read_some(char* data, std::size_t size, Handler handler) = 0;
  virtual void write_all(const char* data, std::size_t size, Handler handler) = 0;
  // Ends what is under way with an error. No TLS goodbye: peers get end-of-file.
  virtual void close() = 0;
};

// Exactly one of the two is set.
using OnConnected = std::function<void(std::shared_ptr<Stream>, std::string error)>;

// Resolves, connects (every address in turn), does the TLS handshake; `timeout` is for all of
// it. The returned function gives up early; `done` is then not called.
std::function<void()> connect_stream(boost::asio::io_context& io, Endpoint endpoint,
                                     std::chrono::milliseconds timeout, OnConnected done);

}  // namespace celeriac
