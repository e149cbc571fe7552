#include "http/server.hpp"

#include "http/web_socket.hpp"
#include "protocol/uuid.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <deque>
#include <map>
#include <set>
#include <utility>

namespace celeriac::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace wire = boost::beast::http;
using asio::ip::tcp;

constexpr std::size_t header_limit = 16384;  // bytes
constexpr std::chrono::seconds header_patience{15}, body_patience{30}, upload_patience{300},
    write_patience{60}, linger_patience{5};

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

}  // namespace

struct Server::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::io_context& io, ServerOptions settings, Service& target)
      : acceptor(io), pause(io), options(std::move(settings)), service(target) {}

  tcp::acceptor acceptor;
  asio::steady_timer pause;
  ServerOptions options;
  Service& service;
  struct Session;
  std::set<Session*> sessions;
  std::map<Socket*, std::weak_ptr<Socket>> sockets;
  bool closing = false;
  std::function<void()> on_empty;  // set by stop()

  void accept();
  void left(Session* session) {
    sessions.erase(session);
    end_if_empty();
  }
  void end_if_empty() {
    if (sessions.empty() && sockets.empty() && on_empty)
      asio::post(acceptor.get_executor(), std::exchange(on_empty, nullptr));
  }
};

struct Server::Impl::Session final : Stream, std::enable_shared_from_this<Session> {
  Session(std::shared_ptr<Impl> owner, tcp::socket socket)
      : server(std::move(owner)), stream(std::move(socket)), patience(stream.get_executor()) {
    server->sessions.insert(this);
  }
  ~Session() override { server->left(this); }

  std::shared_ptr<Impl> server;
  beast::tcp_stream stream;
  asio::steady_timer patience;  // with a sender; the stream's own clock would close before we can say so
  bool late = false;
  beast::flat_buffer buffer{header_limit + 65536};
  std::optional<wire::request_parser<wire::empty_body>> head;
  std::optional<wire::request_parser<wire::string_body>> in_memory;
  std::optional<wire::request_parser<wire::file_body>> in_file;
  wire::response<wire::string_body> answer;
  Request request;
  bool keep_alive = true, is_head = false, idle = false, refused = false;
  std::string dropped;  // where what nobody wants is read to
  // Of an answer that goes on:
  wire::response<wire::empty_body> opening;
  std::optional<wire::response_serializer<wire::empty_body>> opening_writer;
  std::deque<std::string> pieces;
  std::size_t piece_bytes = 0;
  char trailing = 0;  // what a reader sends although it may only listen
  bool writing = false, ending = false, gone = false;
  std::function<void()> on_closed;

  // Ends what is being read with `late`.
  void await_sender(std::chrono::seconds time) {
    late = false;
    stream.expires_never();
    patience.expires_after(time);
    patience.async_wait([weak = weak_from_this()](beast::error_code error) {
      const auto self = weak.lock();
      if (error || !self || self->patience.expiry() > asio::steady_timer::clock_type::now()) return;
      self->late = true;
      self->stream.cancel();
    });
  }
  void sender_came() { patience.expires_at(asio::steady_timer::time_point::max()); }
  // What is no HTTP is told so; who has gone hears nothing.
  void cannot_read(beast::error_code error) {
    if (error == wire::error::end_of_stream || error == wire::error::partial_message ||
        error.category() != make_error_code(wire::error::bad_target).category())
      return close();
    refuse(problem(400, "bad-request", "The request cannot be read", error.message()));
  }
  void too_slow() { refuse(problem(408, "too-slow", "The request did not come in time")); }

  void read() {
    head.emplace();
    in_memory.reset();
    in_file.reset();
    head->header_limit(header_limit);
    head->body_limit(boost::none);  // decided below, before the body is read
    request = {};
    keep_alive = true;
    is_head = false;
    idle = true;
    if (server->closing) return close();
    await_sender(header_patience);
    wire::async_read_header(
        stream, buffer, *head, [self = shared_from_this()](beast::error_code error, std::size_t) {
          self->idle = false;
          self->sender_came();
          if (self->late && error && self->head->got_some()) return self->too_slow();
          if (error == wire::error::header_limit)
            return self->refuse(problem(431, "header-too-large", "The header is too large"));
          if (error) return self->cannot_read(error);
          self->on_header();
        });
  }

  void on_header() {
    const auto& message = head->get();
    request.method = std::string(message.method_string());
    is_head = message.method() == wire::verb::head;
    keep_alive = message.keep_alive() && !server->closing;
    std::string target(message.target());
    const auto mark = target.find('?');
    if (mark != target.npos) request.query = target.substr(mark + 1);
    auto path = percent_decoded(std::string_view(target).substr(0, mark));
    for (const auto& field : message) {
      auto& value = request.headers[lower(field.name_string())];
      value += (value.empty() ? "" : ", ") + std::string(field.value());
    }
    beast::error_code ignored;
    request.remote = stream.socket().remote_endpoint(ignored).address().to_string();
    if (!path || path->empty() || path->front() != '/')
      return refuse(problem(400, "bad-request", "The path cannot be read"));
    request.path = std::move(*path);

    Service::BodyRule rule;
    if (auto refusal = server->service.admit(request, rule)) return refuse(std::move(*refusal));
    if (const auto length = head->content_length(); length && *length > rule.limit)
      return too_large(rule.limit);
    if (lower(request.header("expect")) == "100-continue") return invite(rule);
    read_body(rule);
  }

  void invite(Service::BodyRule rule) {
    stream.expires_after(write_patience);
    auto go = std::make_shared<wire::response<wire::empty_body>>(wire::status::continue_, 11);
    wire::async_write(stream, *go,
                      [self = shared_from_this(), go, rule](beast::error_code error, std::size_t) {
                        if (!error) self->read_body(rule);
                      });
  }

  void read_body(Service::BodyRule rule) {
    await_sender(rule.to_file ? upload_patience : body_patience);
    auto done = [self = shared_from_this(), rule](beast::error_code error, std::size_t) {
      self->sender_came();
      if (self->late && error) return self->too_slow();
      if (error == wire::error::body_limit) return self->too_large(rule.limit);
      if (error) return self->cannot_read(error);
      self->serve();
    };
    if (!rule.to_file) {
      in_memory.emplace(std::move(*head));
      in_memory->body_limit(rule.limit);
      return wire::async_read(stream, buffer, *in_memory, std::move(done));
    }
    in_file.emplace(std::move(*head));
    in_file->body_limit(rule.limit);
    const auto file = server->options.spool_folder + "/celeriac-upload-" + uuid4();
    beast::error_code error;
    in_file->get().body().open(file.c_str(), beast::file_mode::write_new, error);
    if (error) {
      sender_came();
      return refuse(problem(507, "no-space", "The upload cannot be stored", error.message()));
    }
    std::remove(file.c_str());  // known by its descriptor alone: nothing is left behind, however we end
    wire::async_read(stream, buffer, *in_file, std::move(done));
  }

  void too_large(std::uint64_t limit) {
    refuse(problem(413, "too-large", "The body is too large",
                   "At most " + std::to_string(limit) + " bytes are taken here."));
  }

  // The body was not read, so the connection cannot go on.
  void refuse(Response response) {
    keep_alive = false;
    refused = true;
    write(std::move(response));
  }

  // What a refused sender still sends is read away for a while: closing at once would reset the connection,
  // and the sender would never see the answer.
  void linger() {
    stream.expires_after(linger_patience);
    dropped.resize(16384);
    drop();
  }
  void drop() {
    stream.async_read_some(asio::buffer(dropped),
                           [self = shared_from_this()](beast::error_code error, std::size_t) {
                             if (!error) self->drop();
                           });
  }

  void serve() {
    if (in_memory) request.body = std::move(in_memory->get().body());
    if (in_file) {
      request.body_file = "/proc/self/fd/" + std::to_string(in_file->get().body().file().native_handle());
    }
    stream.expires_never();  // handlers keep their own time
    server->service.serve(std::move(request), [self = shared_from_this()](Response response) {
      self->write(std::move(response));
    });
  }

  void write(Response response) {
    if (response.socket) return upgrade(std::move(response));
    if (response.stream && !is_head) return open(std::move(response));
    answer = {};
    answer.version(11);
    answer.result(response.status);
    answer.set(wire::field::content_type, response.content_type);
    for (const auto& [name, value] : response.headers) answer.insert(name, value);
    answer.keep_alive(keep_alive && !server->closing);
    const auto size = response.body.size();
    if (!is_head) answer.body() = std::move(response.body);
    if (response.status != 204 && response.status != 304) answer.content_length(size);
    stream.expires_after(write_patience);
    wire::async_write(stream, answer, [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (!error && self->answer.keep_alive()) return self->read();
      self->close();
      if (!error && self->refused) self->linger();
    });
  }

  void close() {
    beast::error_code ignored;
    stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
  }

  // The connection lives on as a WebSocket, without us.
  void upgrade(Response response) {
    if (!in_memory || !beast::websocket::is_upgrade(in_memory->get())) {
      response.socket = nullptr;
      auto refusal = problem(426, "web-socket-only", "Only WebSockets are opened here");
      refusal.headers = std::move(response.headers);
      return write(std::move(refusal.with("Upgrade", "websocket").with("Connection", "Upgrade")));
    }
    const auto name = std::make_shared<Socket*>(nullptr);
    auto socket = open_web_socket(std::move(stream), in_memory->get(), std::move(response.headers),
                                  std::move(response.socket), [server = server, name] {
                                    server->sockets.erase(*name);
                                    server->end_if_empty();
                                  });
    *name = socket.get();
    server->sockets[socket.get()] = socket;
  }

  // ---- answers that go on: chunks, and the connection ends with them ----

  void open(Response response) {
    opening = {};
    opening.version(11);
    opening.result(response.status);
    opening.set(wire::field::content_type, response.content_type);
    for (const auto& [name, value] : response.headers) opening.insert(name, value);
    opening.keep_alive(false);
    opening.chunked(true);
    opening_writer.emplace(opening);
    stream.expires_after(write_patience);
    wire::async_write_header(stream, *opening_writer,
                             [self = shared_from_this(), begin = std::move(response.stream)](
                                 beast::error_code error, std::size_t) {
                               if (error) return self->lose();
                               self->watch();
                               begin(self);
                             });
  }

  // A reader that goes away is noticed although nothing is sent.
  void watch() {
    stream.socket().async_read_some(asio::buffer(&trailing, 1),
                                    [self = shared_from_this()](beast::error_code error, std::size_t) {
                                      error ? self->lose() : self->watch();
                                    });
  }

  void end_stream() {
    if (opening_writer) end();
  }

  void lose() {
    if (std::exchange(gone, true)) return;
    pieces.clear();
    if (const auto then = std::exchange(on_closed, nullptr)) asio::post(stream.get_executor(), then);
    beast::error_code ignored;
    stream.socket().close(ignored);
  }

  bool closed() const override { return gone || ending; }
  void when_closed(std::function<void()> then) override {
    if (gone) return asio::post(stream.get_executor(), std::move(then));
    on_closed = std::move(then);
  }
  void send(std::string piece) override {
    if (closed() || piece.empty()) return;
    piece_bytes += piece.size();
    if (piece_bytes > most_unread) return lose();  // a reader that does not read
    pieces.push_back(std::move(piece));
    if (!writing) write_piece();
  }
  void end() override {
    if (closed()) return;
    ending = true;
    if (!writing) write_piece();
  }

  void write_piece() {
    if (gone) return;
    writing = true;
    stream.expires_after(write_patience);
    const auto done = [self = shared_from_this()](beast::error_code error, std::size_t) {
      self->writing = false;
      if (error) return self->lose();
      if (!self->pieces.empty()) {
        self->piece_bytes -= self->pieces.front().size();
        self->pieces.pop_front();
      } else {
        beast::error_code ignored;  // that was the last chunk
        self->stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
        return self->lose();
      }
      if (!self->pieces.empty() || self->ending) self->write_piece();
    };
    if (pieces.empty()) return asio::async_write(stream, wire::make_chunk_last(), done);
    asio::async_write(stream, wire::make_chunk(asio::buffer(pieces.front())), done);
  }
};

void Server::Impl::accept() {
  acceptor.async_accept([self = shared_from_this()](beast::error_code error, tcp::socket socket) {
    if (self->closing) return;
    if (error) {  // out of descriptors, most likely
      self->pause.expires_after(std::chrono::milliseconds(200));
      self->pause.async_wait([self](beast::error_code) {
        if (!self->closing) self->accept();
      });
      return;
    }
    if (self->sessions.size() + self->sockets.size() < self->options.most_connections)
      std::make_shared<Session>(self, std::move(socket))->read();
    self->accept();
  });
}

Server::Server(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() {
  stop([] {});
}

void Server::stop(std::function<void()> done) {
  impl_->closing = true;
  beast::error_code ignored;
  impl_->acceptor.close(ignored);
  impl_->pause.cancel();
  impl_->on_empty = std::move(done);
  const auto sockets = impl_->sockets;
  for (const auto& [name, weak] : sockets)
    if (const auto socket = weak.lock()) socket->close();
  if (impl_->sessions.empty() && impl_->sockets.empty())
    return asio::post(impl_->acceptor.get_executor(), std::exchange(impl_->on_empty, nullptr));
  const auto sessions = impl_->sessions;  // closing one may end it
  for (auto* session : sessions)
    if (session->idle)
      session->stream.socket().close(ignored);
    else
      session->end_stream();
}

std::uint16_t Server::port() const { return impl_->acceptor.local_endpoint().port(); }

Expected<std::unique_ptr<Server>> Server::listen(asio::io_context& io, ServerOptions options,
                                                 Service& service) {
  const auto where = options.host + ":" + std::to_string(options.port);
  beast::error_code error;
  const auto address = asio::ip::make_address(options.host, error);
  if (error) return unexpected("http_host: '" + options.host + "' is no address");
  const tcp::endpoint endpoint(address, options.port);
  auto impl = std::make_shared<Impl>(io, std::move(options), service);
  impl->acceptor.open(endpoint.protocol(), error);
  if (!error) impl->acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) impl->acceptor.bind(endpoint, error);
  if (!error) impl->acceptor.listen(tcp::acceptor::max_listen_connections, error);
  if (error) return unexpected("cannot listen on " + where + ": " + error.message());
  impl->accept();
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

}  // namespace celeriac::http
