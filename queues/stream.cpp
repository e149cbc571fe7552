#include "queues/stream.hpp"

#include <openssl/err.h>
#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <utility>

namespace celeriac {
namespace {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using asio::ip::tcp;
using boost::system::error_code;

template <class Socket>
void close_socket(Socket& socket) {
  error_code ignored;  // closing a dead socket may fail; nothing depends on it
  socket.shutdown(Socket::shutdown_both, ignored);
  socket.close(ignored);
}

template <class Socket>
class PlainStream final : public Stream {
 public:
  explicit PlainStream(asio::io_context& io) : socket(io) {}

  void read_some(char* data, std::size_t size, Handler handler) override {
    socket.async_read_some(asio::buffer(data, size),
                           [self = shared_from_this(), handler = std::move(handler)](
                               error_code ec, std::size_t n) { handler(ec, n); });
  }
  void write_all(const char* data, std::size_t size, Handler handler) override {
    asio::async_write(socket, asio::buffer(data, size),
                      [self = shared_from_this(), handler = std::move(handler)](
                          error_code ec, std::size_t n) { handler(ec, n); });
  }
  void close() override { close_socket(socket); }

  Socket socket;
};

class TlsStream final : public Stream {
 public:
  TlsStream(asio::io_context& io, ssl::context context_in)
      : context(std::move(context_in)), stream(io, context) {}

  void read_some(char* data, std::size_t size, Handler handler) override {
    stream.async_read_some(asio::buffer(data, size),
                           [self = shared_from_this(), handler = std::move(handler)](
                               error_code ec, std::size_t n) { handler(ec, n); });
  }
  void write_all(const char* data, std::size_t size, Handler handler) override {
    asio::async_write(stream, asio::buffer(data, size),
                      [self = shared_from_this(), handler = std::move(handler)](
                          error_code ec, std::size_t n) { handler(ec, n); });
  }
  void close() override { close_socket(stream.next_layer()); }

  ssl::context context;
  ssl::stream<tcp::socket> stream;
};

// The reason of the first step that fails is thrown as system_error and shown to the operator.
ssl::context make_context(const TlsOptions& options) {
  ssl::context context(ssl::context::tls_client);
  context.set_options(ssl::context::default_workarounds | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1);
  if (options.ca_certs.empty())
    context.set_default_verify_paths();
  else
    context.load_verify_file(options.ca_certs);
  if (!options.certfile.empty()) context.use_certificate_chain_file(options.certfile);
  if (!options.keyfile.empty()) context.use_private_key_file(options.keyfile, ssl::context::pem);
  context.set_verify_mode(options.verify ? ssl::verify_peer : ssl::verify_none);
  return context;
}

// One attempt. Alive through the handlers of its operations; `done` runs at most once.
class Attempt : public std::enable_shared_from_this<Attempt> {
 public:
  Attempt(asio::io_context& io, Endpoint endpoint, OnConnected done)
      : io_(io), endpoint_(std::move(endpoint)), done_(std::move(done)), timer_(io), resolver_(io) {}

  void run(std::chrono::milliseconds timeout) {
    timer_.expires_after(timeout);
    timer_.async_wait([self = shared_from_this()](error_code ec) {
      if (!ec) self->finish(nullptr, "timed out while " + self->step_);
    });
    if (!endpoint_.path.empty()) return connect_unix();
    step_ = "resolving " + endpoint_.host;
    resolver_.async_resolve(endpoint_.host, std::to_string(endpoint_.port),
                            [self = shared_from_this()](error_code ec, tcp::resolver::results_type found) {
                              if (ec) return self->fail(ec);
                              self->connect_tcp(std::move(found));
                            });
  }

  void cancel() { finish(nullptr, ""); }

 private:
  void connect_unix() {
    step_ = "connecting to " + endpoint_.path;
    auto stream = std::make_shared<PlainStream<asio::local::stream_protocol::socket>>(io_);
    stream_ = stream;
    error_code ec;
    if (endpoint_.path.size() >= sizeof(sockaddr_un::sun_path)) {
      return asio::post(
          io_, [self = shared_from_this()] { self->finish(nullptr, "the socket's path is too long"); });
    }
    stream->socket.async_connect(asio::local::stream_protocol::endpoint(endpoint_.path),
                                 [self = shared_from_this(), stream](error_code failed) {
                                   if (failed) return self->fail(failed);
                                   self->finish(self->stream_, "");
                                 });
  }

  void connect_tcp(tcp::resolver::results_type found) {
    if (!done_) return;
    step_ = "connecting to " + endpoint_.host + ":" + std::to_string(endpoint_.port);
    tcp::socket* socket = nullptr;
    if (endpoint_.tls) {
      try {
        tls_ = std::make_shared<TlsStream>(io_, make_context(endpoint_.tls_options));
      } catch (const boost::system::system_error& problem) {
        return finish(nullptr, std::string("TLS settings: ") + problem.what());
      }
      stream_ = tls_;
      socket = &tls_->stream.next_layer();
    } else {
      auto plain = std::make_shared<PlainStream<tcp::socket>>(io_);
      stream_ = plain;
      socket = &plain->socket;
    }
    // Given up, the operation still looks at the socket when it ends: the handler keeps it.
    asio::async_connect(
        *socket, found,
        [self = shared_from_this(), socket, keep = stream_](error_code ec, const tcp::endpoint&) {
          if (!self->done_) return;
          if (ec) return self->fail(ec);
          error_code ignored;  // only latency is at stake
          socket->set_option(tcp::no_delay(true), ignored);
          socket->set_option(asio::socket_base::keep_alive(true), ignored);
          if (self->tls_) return self->handshake();
          self->finish(self->stream_, "");
        });
  }

  void handshake() {
    step_ = "TLS handshake with " + endpoint_.host;
    const auto& options = endpoint_.tls_options;
    const std::string& name = options.server_hostname.empty() ? endpoint_.host : options.server_hostname;
    error_code is_name;
    asio::ip::make_address(name, is_name);
    if (is_name && SSL_set_tlsext_host_name(tls_->stream.native_handle(), name.c_str()) != 1)
      return finish(nullptr, step_ + ": the server's name cannot be sent");
    if (options.verify) tls_->stream.set_verify_callback(ssl::host_name_verification(name));
    tls_->stream.async_handshake(ssl::stream_base::client,
                                 [self = shared_from_this(), keep = tls_](error_code ec) {
                                   if (ec) return self->fail(ec);
                                   self->finish(self->stream_, "");
                                 });
  }

  void fail(error_code ec) { finish(nullptr, step_ + ": " + ec.message()); }

  void finish(std::shared_ptr<Stream> stream, std::string error) {
    if (!done_) return;
    auto done = std::exchange(done_, nullptr);
    timer_.cancel();
    resolver_.cancel();
    const bool cancelled = !stream && error.empty();
    if (!stream && stream_) stream_->close();
    stream_.reset();
    tls_.reset();
    if (!cancelled) done(std::move(stream), std::move(error));
  }

  asio::io_context& io_;
  Endpoint endpoint_;
  OnConnected done_;
  asio::steady_timer timer_;
  tcp::resolver resolver_;
  std::shared_ptr<Stream> stream_;
  std::shared_ptr<TlsStream> tls_;
  std::string step_;
};

}  // namespace

std::function<void()> connect_stream(asio::io_context& io, Endpoint endpoint,
                                     std::chrono::milliseconds timeout, OnConnected done) {
  auto attempt = std::make_shared<Attempt>(io, std::move(endpoint), std::move(done));
  attempt->run(timeout);
  return [weak = std::weak_ptr(attempt)] {
    if (auto alive = weak.lock()) alive->cancel();
  };
}

}  // namespace celeriac
