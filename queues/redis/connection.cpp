#include "queues/redis/connection.hpp"

#include "queues/backoff.hpp"

#include <hiredis/hiredis.h>
#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <random>
#include <vector>

namespace celeriac::redis {
namespace {

using Steady = std::chrono::steady_clock;
using boost::system::error_code;

struct FreeReader {
  void operator()(redisReader* reader) const noexcept { redisReaderFree(reader); }
};
struct FreeReply {
  void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
};

constexpr std::size_t read_size = 128 * 1024;

bool starts_with(std::string_view text, std::string_view word) { return text.substr(0, word.size()) == word; }

// The server as a whole cannot serve us now, whatever we ask.
bool server_unusable(std::string_view error) {
  for (std::string_view word : {"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "MOVED", "CROSSSLOT"})
    if (starts_with(error, word) || error.find("-" + std::string(word) + " ") != std::string_view::npos)
      return true;
  return false;
}

// For whoever reads the log.
std::string explained(std::string_view error) {
  const bool cluster = starts_with(error, "MOVED") || starts_with(error, "CROSSSLOT") ||
                       starts_with(error, "CLUSTERDOWN") ||
                       error.find("cluster mode") != std::string_view::npos;
  return (cluster ? "the server is part of a Redis Cluster, which cannot be a broker or result store here: "
                  : "") +
         std::string(error);
}

bool credentials_refused(std::string_view error) {
  return starts_with(error, "WRONGPASS") || starts_with(error, "NOAUTH") ||
         starts_with(error, "ERR invalid password") || starts_with(error, "ERR AUTH") ||
         starts_with(error, "ERR Client sent AUTH");
}

// Pub/sub arrays come unasked for; everything else answers a command.
bool is_push(Reply reply) {
  if (!reply.is_array() || reply.size() < 3) return false;
  auto kind = reply[0].text();
  return kind == "message" || kind == "pmessage" || kind == "subscribe" || kind == "psubscribe" ||
         kind == "unsubscribe" || kind == "punsubscribe";
}

}  // namespace

struct Connection::Impl : std::enable_shared_from_this<Impl> {
  enum class State { idle, connecting, greeting, up, waiting, closed };
  struct Waiting {
    Handler handler;
    std::size_t answers;
  };

  Impl(boost::asio::io_context& io_in, ConnectionOptions options_in)
      : io(io_in),
        options(std::move(options_in)),
        backoff({.max_retries = options.max_retries}, std::random_device()()),
        retry_timer(io),
        watch_timer(io),
        read_buffer(read_size) {}

  // ---- life ----

  void connect() {
    state = State::connecting;
    if (options.sentinels.endpoints.empty()) return connect_to(options.endpoint);
    cancel_connect = find_master(io, options.sentinels, options.connect_timeout,
                                 [this, self = shared_from_this()](Expected<Endpoint> master) {
                                   if (state != State::connecting) return;
                                   if (!master) return drop(master.error().what);
                                   Endpoint endpoint = options.endpoint;
                                   endpoint.host = master->host;
                                   endpoint.port = master->port;
                                   connect_to(std::move(endpoint));
                                 });
  }

  void connect_to(Endpoint endpoint) {
    cancel_connect =
        connect_stream(io, std::move(endpoint), options.connect_timeout,
                       [this, self = shared_from_this()](std::shared_ptr<Stream> made, std::string error) {
                         if (state != State::connecting) return;
                         cancel_connect = nullptr;
                         if (!made) return drop(std::move(error));
                         stream = std::move(made);
                         greet();
                       });
  }

  void greet() {
    state = State::greeting;
    reader.reset(redisReaderCreate());
    reader->maxbuf = 4 * read_size;
    last_heard = Steady::now();
    Request hello;
    if (!options.password.empty()) {
      if (options.user.empty())
        hello.add("AUTH", options.password);
      else
        hello.add("AUTH", options.user, options.password);
    }
    // These also show whether the server demands a password or is still loading.
    if (options.db == ConnectionOptions::no_database)
      hello.add("PING");
    else
      hello.add("SELECT", options.db);
    const bool sentinels = !options.sentinels.endpoints.empty();
    if (sentinels) hello.add("ROLE");
    const std::size_t needed = hello.commands();
    if (!options.client_name.empty()) hello.add("CLIENT", "SETNAME", options.client_name);
    append(hello,
           [this, sentinels, needed, total = hello.commands(), seen = std::size_t{0}](Reply reply) mutable {
             if (reply.lost()) return;
             ++seen;
             if (reply.is_error() && seen <= needed) {
               std::string why(reply.text());
               if (credentials_refused(why) && !backoff.ever_succeeded())
                 return give_up("the server refused us: " + why);
               return drop(explained(why));
             }
             if (sentinels && seen == needed && (reply.size() == 0 || reply[0].text() != "master"))
               return drop("the server that the sentinels named is no master");
             if (seen == total) welcome();
           });
    read();
    watch();
  }

  void welcome() {
    state = State::up;
    backoff.succeeded();
    if (handlers.on_up) handlers.on_up();
  }

  // Every way to lose a connection, or an attempt, ends here.
  void drop(std::string why) {
    if (state == State::closed || state == State::waiting || state == State::idle) return;
    disconnect();
    state = State::waiting;
    auto self = shared_from_this();
    auto orphans = std::exchange(waiting, {});
    auto delay = backoff.next();
    if (!delay) return give_up(why);
    retry_timer.expires_after(*delay);
    retry_timer.async_wait([this, self](error_code ec) {
      if (!ec && state == State::waiting) connect();
    });
    abandon(std::move(orphans));
    if (state != State::closed && handlers.on_down) handlers.on_down(std::move(why));
  }

  void give_up(std::string why) {
    auto self = shared_from_this();
    disconnect();
    state = State::closed;
    abandon(std::exchange(waiting, {}));
    if (auto failed = std::move(handlers.on_failed)) failed(std::move(why));
  }

  void abandon(std::deque<Waiting> orphans) {
    for (auto& orphan : orphans)
      for (; orphan.answers > 0 && orphan.handler && !silenced; --orphan.answers)
        orphan.handler(Reply(nullptr));
  }

  void close() {
    if (state == State::up && !writing && !pending.empty()) flush();  // asio tries the write at once
    silenced = true;
    disconnect();
    state = State::closed;
    waiting.clear();
    handlers = {};
  }

  void disconnect() {
    ++epoch;
    if (cancel_connect) std::exchange(cancel_connect, nullptr)();
    if (stream) stream->close();
    stream.reset();
    retry_timer.cancel();
    watch_timer.cancel();
    pending.clear();
    writing = false;
  }

  // Looks four times per socket_timeout whether the server still talks to us.
  void watch() {
    watch_timer.expires_after(std::max(options.socket_timeout / 4, std::chrono::milliseconds(10)));
    watch_timer.async_wait([this, self = shared_from_this(), born = epoch](error_code ec) {
      if (ec || born != epoch) return;
      auto silent = Steady::now() - std::max(last_heard, waiting.empty() ? last_heard : waiting_since);
      if (!waiting.empty() && silent > options.socket_timeout)
        return drop("no answer for " + std::to_string(options.socket_timeout.count() / 1000.0).substr(0, 5) +
                    " s");
      if (waiting.empty() && silent > options.socket_timeout / 2 && state == State::up) append(ping, nullptr);
      watch();
    });
  }

  // ---- writing ----

  void append(const Request& request, Handler handler) {
    if (waiting.empty()) waiting_since = Steady::now();
    waiting.push_back({std::move(handler), request.commands()});
    append_bytes(request.bytes());
  }

  void append(Request&& request, Handler handler) {
    if (request.bytes().size() < read_size || !pending.empty())
      return append(static_cast<const Request&>(request), std::move(handler));
    if (waiting.empty()) waiting_since = Steady::now();
    waiting.push_back({std::move(handler), request.commands()});
    pending = std::move(request).take_bytes();
    write_soon();
  }

  void append_bytes(std::string_view bytes) {
    pending.append(bytes);
    write_soon();
  }

  void write_soon() {
    if (flush_posted || writing) return;
    flush_posted = true;
    boost::asio::post(io, [this, self = shared_from_this()] {
      flush_posted = false;
      flush();
    });
  }

  void flush() {
    if (writing || pending.empty() || !stream) return;
    writing = true;
    auto out = std::make_shared<std::string>();
    out->swap(pending);
    // The buffer goes round so that its memory is used again.
    pending.swap(spare);
    pending.clear();
    stream->write_all(out->data(), out->size(),
                      [this, self = shared_from_this(), born = epoch, out](error_code ec, std::size_t) {
                        if (born != epoch) return;
                        writing = false;
                        if (ec) return drop("write: " + ec.message());
                        if (out->capacity() <= (1u << 20)) spare.swap(*out);
                        flush();
                      });
  }

  // ---- reading ----

  void read() {
    stream->read_some(read_buffer.data(), read_buffer.size(),
                      [this, self = shared_from_this(), born = epoch](error_code ec, std::size_t n) {
                        if (born != epoch) return;
                        if (ec) return drop("read: " + ec.message());
                        last_heard = Steady::now();
                        if (redisReaderFeed(reader.get(), read_buffer.data(), n) != REDIS_OK) return broken();
                        if (take_replies(born)) read();
                      });
  }

  void broken() { drop(std::string("the server's answer cannot be read: ") + reader->errstr); }

  // False when a handler ended this connection.
  bool take_replies(std::uint64_t born) {
    for (;;) {
      void* raw = nullptr;
      if (redisReaderGetReply(reader.get(), &raw) != REDIS_OK) return broken(), false;
      if (!raw) break;
      std::unique_ptr<redisReply, FreeReply> owned(static_cast<redisReply*>(raw));
      dispatch(Reply(owned.get()));
      if (born != epoch) return false;
    }
    if (reader->len - reader->pos > options.max_reply_bytes) return drop("an answer is too large"), false;
    return true;
  }

  void dispatch(Reply reply) {
    if (handlers.on_push && is_push(reply)) {
      auto push = handlers.on_push;
      return push(reply);
    }
    if (waiting.empty()) return drop("an answer nobody asked for");
    if (state == State::up && reply.is_error() && server_unusable(reply.text()))
      return drop(explained(reply.text()));
    auto& front = waiting.front();
    if (--front.answers == 0) {
      auto handler = std::move(front.handler);
      waiting.pop_front();
      if (handler) handler(reply);
    } else if (front.handler) {
      // The handler may end the connection, and with it the queue: it runs outside of it.
      auto handler = std::move(front.handler);
      const auto born = epoch;
      handler(reply);
      if (born == epoch && !silenced) waiting.front().handler = std::move(handler);
    }
  }

  boost::asio::io_context& io;
  ConnectionOptions options;
  Handlers handlers;
  State state = State::idle;
  bool silenced = false;
  Backoff backoff;
  boost::asio::steady_timer retry_timer, watch_timer;
  std::function<void()> cancel_connect;
  std::shared_ptr<Stream> stream;
  std::uint64_t epoch = 0;  // tells handlers of an earlier stream that they come too late
  std::unique_ptr<redisReader, FreeReader> reader;
  std::vector<char> read_buffer;
  std::string pending, spare;
  bool writing = false, flush_posted = false;
  std::deque<Waiting> waiting;
  Steady::time_point last_heard, waiting_since;
  const Request ping = [] {
    Request request;
    request.add("PING");
    return request;
  }();
};

Connection::Connection(boost::asio::io_context& io, ConnectionOptions options)
    : impl_(std::make_shared<Impl>(io, std::move(options))) {}

Connection::~Connection() { impl_->close(); }

void Connection::start(Handlers handlers) {
  impl_->handlers = std::move(handlers);
  impl_->connect();
}

void Connection::close() { impl_->close(); }

bool Connection::ready() const { return impl_->state == Impl::State::up; }

std::size_t Connection::outstanding() const { return impl_->waiting.size(); }

void Connection::send(const Request& request, Handler handler) {
  if (request.empty()) return;
  if (ready()) return impl_->append(request, std::move(handler));
  boost::asio::post(impl_->io, [impl = impl_, count = request.commands(), handler = std::move(handler)] {
    for (std::size_t i = 0; i < count && handler && !impl->silenced; ++i) handler(Reply(nullptr));
  });
}

void Connection::send(Request&& request, Handler handler) {
  if (ready() && !request.empty()) return impl_->append(std::move(request), std::move(handler));
  send(static_cast<const Request&>(request), std::move(handler));
}

void Connection::send(std::initializer_list<std::string_view> command, Handler handler) {
  Request request;
  request.begin(command.size());
  for (auto word : command) request.arg(word);
  send(request, std::move(handler));
}

void Connection::subscribe(const Request& request) {
  if (ready()) impl_->append_bytes(request.bytes());
}

void Connection::reconnect(std::string why) { impl_->drop(std::move(why)); }

}  // namespace celeriac::redis
