#include "worker/monitor/monitor_server.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <optional>

namespace celeriac {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

constexpr std::size_t most_connections = 64, header_limit = 8192;
constexpr std::chrono::seconds patience{10};

}  // namespace

struct MonitorServer::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::io_context& io, Handler handle) : acceptor(io), pause(io), handler(std::move(handle)) {}

  tcp::acceptor acceptor;
  asio::steady_timer pause;
  Handler handler;
  std::size_t connections = 0;
  bool closed = false;

  struct Session;
  void accept();
};

struct MonitorServer::Impl::Session : std::enable_shared_from_this<Session> {
  Session(std::shared_ptr<Impl> owner, tcp::socket socket)
      : server(std::move(owner)), stream(std::move(socket)) {
    ++server->connections;
  }
  ~Session() { --server->connections; }

  std::shared_ptr<Impl> server;
  beast::tcp_stream stream;
  beast::flat_buffer buffer{header_limit};
  std::optional<http::request_parser<http::empty_body>> parser;
  http::response<http::string_body> response;

  void read() {
    if (server->closed) return;
    parser.emplace();
    parser->header_limit(header_limit);
    parser->body_limit(std::uint64_t{0});
    stream.expires_after(patience);
    http::async_read(stream, buffer, *parser,
                     [self = shared_from_this()](beast::error_code error, std::size_t) {
                       if (error == http::error::end_of_stream || self->server->closed) return;
                       if (error) return self->refuse(error);
                       self->answer();
                     });
  }

  // A request that cannot be read; a connection that just went away gets nothing.
  void refuse(const beast::error_code& error) {
    if (error.category() != make_error_code(http::error::bad_target).category()) return;
    write({400, "bad request: " + error.message() + "\n"}, false);
  }

  void answer() {
    const auto& request = parser->get();
    const auto method = request.method();
    if (method != http::verb::get && method != http::verb::head)
      return write({405, "only GET and HEAD\n"}, request.keep_alive());
    const auto target = request.target();
    std::string path(target.substr(0, target.find('?')));
    stream.expires_after(patience);
    server->handler(std::move(path), [self = shared_from_this()](MonitorAnswer answer) {
      self->write(std::move(answer), self->parser->get().keep_alive());
    });
  }

  void write(MonitorAnswer answer, bool keep_alive) {
    response = {};
    response.result(answer.status);
    response.version(11);
    response.set(http::field::content_type, answer.content_type);
    response.set(http::field::cache_control, "no-store");
    response.keep_alive(keep_alive);
    const auto size = answer.body.size();
    if (parser->get().method() != http::verb::head) response.body() = std::move(answer.body);
    response.content_length(size);
    http::async_write(stream, response,
                      [self = shared_from_this(), keep_alive](beast::error_code error, std::size_t) {
                        if (error || !keep_alive) {
                          beast::error_code ignored;
                          self->stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
                          return;
                        }
                        self->read();
                      });
  }
};

void MonitorServer::Impl::accept() {
  acceptor.async_accept([self = shared_from_this()](beast::error_code error, tcp::socket socket) {
    if (self->closed) return;
    if (error) {  // out of descriptors, most likely
      self->pause.expires_after(std::chrono::milliseconds(200));
      self->pause.async_wait([self](beast::error_code) {
        if (!self->closed) self->accept();
      });
      return;
    }
    if (self->connections < most_connections) std::make_shared<Session>(self, std::move(socket))->read();
    self->accept();
  });
}

MonitorServer::MonitorServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

MonitorServer::~MonitorServer() {
  impl_->closed = true;
  beast::error_code ignored;
  impl_->acceptor.close(ignored);
  impl_->pause.cancel();
}

std::uint16_t MonitorServer::port() const { return impl_->acceptor.local_endpoint().port(); }

Expected<std::unique_ptr<MonitorServer>> MonitorServer::listen(asio::io_context& io, const std::string& host,
                                                               std::uint16_t port, Handler handler) {
  const auto where = host + ":" + std::to_string(port);
  beast::error_code error;
  const auto address = asio::ip::make_address(host, error);
  if (error) return unexpected("worker_metrics_host: '" + host + "' is no address");
  auto impl = std::make_shared<Impl>(io, std::move(handler));
  const tcp::endpoint endpoint(address, port);
  impl->acceptor.open(endpoint.protocol(), error);
  if (!error) impl->acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) impl->acceptor.bind(endpoint, error);
  if (!error) impl->acceptor.listen(tcp::acceptor::max_listen_connections, error);
  if (error) return unexpected("cannot listen on " + where + ": " + error.message());
  impl->accept();
  return std::unique_ptr<MonitorServer>(new MonitorServer(std::move(impl)));
}

}  // namespace celeriac
