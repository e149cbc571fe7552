#include "queues/postgres/connection.hpp"

#include "queues/backoff.hpp"
#include "queues/postgres/libpq.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <deque>
#include <random>
#include <thread>

namespace celeriac::pg {
namespace {

namespace asio = boost::asio;
using asio::posix::stream_descriptor;
using boost::system::error_code;

struct CloseConnection {
  void operator()(PGconn* connection) const noexcept { libpq().PQfinish(connection); }
};

struct Transaction {
  std::vector<Statement> statements;
  Repeat repeat = Repeat::no;
  Connection::Reply reply;
  bool session = false;  // the statements of prepare_with()
  Outcome outcome = {};
};

// libpq's messages end in a newline and may have several lines.
std::string one_line(const char* message) {
  std::string out = message ? message : "";
  while (!out.empty() && (out.back() == '\n' || out.back() == ' ')) out.pop_back();
  for (std::size_t at = 0; (at = out.find('\n', at)) != std::string::npos;) out.replace(at, 1, "; ");
  return out.empty() ? "the connection was closed" : out;
}

// A failed attempt leaves no SQLSTATE of its own, but verbose messages have it: "FATAL:  28P01: password
// ...". Class 28 is authentication, 3D000 a database that does not exist.
bool refused_for_good(PGconn* connection) {
  if (libpq().PQconnectionNeedsPassword(connection)) return true;
  const std::string_view message = libpq().PQerrorMessage(connection);
  for (std::string_view code : {":  28P01: ", ":  28000: ", ":  3D000: "})
    if (message.find(code) != message.npos) return true;
  return false;
}

// The message without the SQLSTATE and the place in the server's source.
std::string attempt_failure(PGconn* connection) {
  std::string message = libpq().PQerrorMessage(connection);
  for (std::size_t at = 0; (at = message.find("\nLOCATION:", at)) != std::string::npos;)
    message.erase(at, message.find('\n', at + 1) - at);
  return one_line(message.c_str());
}

std::string field(const PGresult* result, int code) {
  const char* value = libpq().PQresultErrorField(result, code);
  return value ? value : "";
}

bool needs_no_resolver(const std::string& host) {
  if (host.empty() || host[0] == '/' || host[0] == '@') return true;  // a socket's folder
  error_code ec;
  asio::ip::make_address(host, ec);
  return !ec;
}

}  // namespace

struct Connection::Impl : std::enable_shared_from_this<Impl> {
  enum class State { idle, connecting, preparing, up, waiting, closed };

  Impl(asio::io_context& io_, ConnectionOptions options_)
      : io(io_),
        options(std::move(options_)),
        socket(io_),
        timer(io_),
        resolver(io_),
        backoff(BackoffOptions{}, std::random_device{}()) {}

  asio::io_context& io;
  ConnectionOptions options;
  Handlers handlers;
  std::vector<Statement> session;

  State state = State::idle;
  std::unique_ptr<PGconn, CloseConnection> connection;
  stream_descriptor socket;  // borrows libpq's descriptor: always released before libpq closes it
  asio::steady_timer timer;  // the limit of an attempt, or the pause before the next
  asio::ip::tcp::resolver resolver;
  Backoff backoff;
  std::uint64_t epoch = 0;  // of the connection; answers from an earlier one are ignored
  bool write_wait = false;
  std::deque<Transaction> in_flight, waiting;

  // Runs `then` unless the connection it belongs to is gone.
  template <class F>
  auto current(F then) {
    return [self = shared_from_this(), mine = epoch, then](auto&&... arguments) {
      if (mine == self->epoch) then(*self, arguments...);
    };
  }

  void connect() {
    state = State::connecting;
    ++epoch;
    timer.expires_after(options.connect_timeout);
    timer.async_wait(current([](Impl& impl, error_code ec) {
      if (!ec && impl.state == State::connecting) impl.lost("no connection within the time limit");
    }));
    if (needs_no_resolver(options.host)) return begin("");
    resolver.async_resolve(options.host, options.port, current([](Impl& impl, error_code ec, auto found) {
                             if (ec) return impl.lost("host '" + impl.options.host + "': " + ec.message());
                             std::string addresses;
                             for (auto& entry : found)
                               addresses +=
                                   (addresses.empty() ? "" : ",") + entry.endpoint().address().to_string();
                             impl.begin(addresses);
                           }));
  }

  // With several addresses libpq tries one after the other and wants the name as often.
  void begin(const std::string& addresses) {
    std::string hosts = options.host;
    for (char c : addresses)
      if (c == ',') hosts += "," + options.host;
    std::vector<const char*> keys, values;
    auto add = [&](const char* key, const std::string& value) {
      if (value.empty()) return;
      keys.push_back(key);
      values.push_back(value.c_str());
    };
    for (auto& [key, value] : options.parameters) add(key.c_str(), value);
    add("host", hosts);
    add("hostaddr", addresses);
    add("port", options.port);
    keys.push_back(nullptr);
    values.push_back(nullptr);
    connection.reset(libpq().PQconnectStartParams(keys.data(), values.data(), 0));
    if (!connection || libpq().PQstatus(connection.get()) == CONNECTION_BAD)
      return lost(one_line(libpq().PQerrorMessage(connection.get())));
    libpq().PQsetNoticeProcessor(
        connection.get(), [](void*, const char*) {}, nullptr);
    libpq().PQsetErrorVerbosity(connection.get(),
                                PQERRORS_VERBOSE);  // for refused_for_good(), until it is up
    watch_handshake(stream_descriptor::wait_write);
  }

  // libpq may change its descriptor between two polls, so it is lent out for one wait only.
  void watch_handshake(stream_descriptor::wait_type what) {
    error_code ec;
    socket.assign(libpq().PQsocket(connection.get()), ec);
    if (ec) return lost(ec.message());
    socket.async_wait(what, current([](Impl& impl, error_code failed) {
                        if (failed) return impl.lost(failed.message());
                        impl.socket.release();
                        impl.poll_handshake();
                      }));
  }

  void poll_handshake() {
    switch (libpq().PQconnectPoll(connection.get())) {
      case PGRES_POLLING_READING:
        return watch_handshake(stream_descriptor::wait_read);
      case PGRES_POLLING_WRITING:
        return watch_handshake(stream_descriptor::wait_write);
      case PGRES_POLLING_OK:
        return connected();
      default:
        break;
    }
    const std::string why = attempt_failure(connection.get());
    if (handlers.on_failed && !backoff.ever_succeeded() && refused_for_good(connection.get()))
      return give_up(why);
    lost(why);
  }

  void give_up(const std::string& why) {
    const auto self = shared_from_this();
    const auto failed = handlers.on_failed;
    auto orphans = std::exchange(waiting, {});
    close();
    failed(why);
    for (auto& orphan : orphans)
      if (orphan.reply) orphan.reply(Outcome{.kind = Outcome::Kind::lost, .what = why});
  }

  void connected() {
    timer.cancel();
    libpq().PQsetErrorVerbosity(connection.get(), PQERRORS_DEFAULT);
    state = State::preparing;
    error_code ec;
    socket.assign(libpq().PQsocket(connection.get()), ec);
    if (ec || libpq().PQsetnonblocking(connection.get(), 1) != 0 ||
        libpq().PQenterPipelineMode(connection.get()) != 1)
      return lost(ec ? ec.message() : one_line(libpq().PQerrorMessage(connection.get())));
    write_wait = false;
    wait_read();
    if (session.empty()) return up();
    submit({session, Repeat::no, nullptr, true});
  }

  void up() {
    state = State::up;
    backoff.succeeded();
    while (state == State::up && !waiting.empty()) {
      Transaction next = std::move(waiting.front());
      waiting.pop_front();
      submit(std::move(next));
    }
    if (state != State::up) return;
    if (auto handler = handlers.on_up) handler();  // a copy: it may close the connection
  }

  void submit(Transaction transaction) {
    PGconn* c = connection.get();
    bool sent = true;
    std::vector<unsigned> types;
    std::vector<const char*> values;
    std::vector<int> lengths, formats;
    for (auto& statement : transaction.statements) {
      types.clear(), values.clear(), lengths.clear(), formats.clear();
      for (auto& param : statement.params) {
        types.push_back(param.type);
        values.push_back(param.value ? param.value->c_str() : nullptr);
        lengths.push_back(param.value ? static_cast<int>(param.value->size()) : 0);
        formats.push_back(param.binary ? 1 : 0);
      }
      sent = sent && libpq().PQsendQueryParams(c, statement.sql.c_str(), static_cast<int>(values.size()),
                                               types.data(), values.data(), lengths.data(), formats.data(),
                                               statement.binary_results ? 1 : 0) == 1;
    }
    in_flight.push_back(std::move(transaction));
    if (!sent || libpq().PQpipelineSync(c) != 1) return lost(one_line(libpq().PQerrorMessage(c)));
    flush();
  }

  void flush() {
    if (write_wait) return;
    int left = libpq().PQflush(connection.get());
    if (left < 0) return lost(one_line(libpq().PQerrorMessage(connection.get())));
    if (left == 0) return;
    write_wait = true;
    socket.async_wait(stream_descriptor::wait_write, current([](Impl& impl, error_code ec) {
                        impl.write_wait = false;
                        if (ec) return impl.lost(ec.message());
                        impl.flush();
                      }));
  }

  void wait_read() {
    socket.async_wait(stream_descriptor::wait_read, current([](Impl& impl, error_code ec) {
                        if (ec) return impl.lost(ec.message());
                        bool alive = libpq().PQconsumeInput(impl.connection.get()) == 1;
                        const auto mine = impl.epoch;
                        impl.drain();  // also what came before the end
                        if (mine != impl.epoch) return;
                        if (!alive) return impl.lost(one_line(libpq().PQerrorMessage(impl.connection.get())));
                        impl.flush();
                        if (mine == impl.epoch) impl.wait_read();
                      }));
  }

  void drain() {
    const auto mine = epoch;
    int empty_answers = 0;  // each statement's results end with one
    while (mine == epoch && !in_flight.empty() && empty_answers < 2 && !libpq().PQisBusy(connection.get())) {
      PGresult* result = libpq().PQgetResult(connection.get());
      if (!result) {
        ++empty_answers;
        continue;
      }
      empty_answers = 0;
      take(Rows(result), result);
    }
    if (mine == epoch && libpq().PQstatus(connection.get()) == CONNECTION_BAD)
      lost(one_line(libpq().PQerrorMessage(connection.get())));
  }

  void take(Rows rows, const PGresult* result) {
    Outcome& outcome = in_flight.front().outcome;
    switch (libpq().PQresultStatus(result)) {
      case PGRES_PIPELINE_SYNC:
        return finish();
      case PGRES_PIPELINE_ABORTED:
        return;  // skipped because of an earlier one
      case PGRES_TUPLES_OK:
      case PGRES_COMMAND_OK:
      case PGRES_EMPTY_QUERY:
        outcome.rows.push_back(std::move(rows));
        return;
      case PGRES_FATAL_ERROR:
        break;
      default:
        return lost("the server answered with something else than rows");
    }
    std::string severity = field(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    std::string what = field(result, PG_DIAG_MESSAGE_PRIMARY);
    if (what.empty()) what = one_line(libpq().PQresultErrorMessage(result));
    if (severity == "FATAL" || severity == "PANIC" || libpq().PQstatus(connection.get()) == CONNECTION_BAD)
      return lost(what);
    if (!outcome.ok()) return;
    outcome.kind = Outcome::Kind::refused;
    outcome.statement = outcome.rows.size();
    outcome.sqlstate = field(result, PG_DIAG_SQLSTATE);
    outcome.what = std::move(what);
  }

  void finish() {
    Transaction done = std::move(in_flight.front());
    in_flight.pop_front();
    if (!done.session) {
      if (!done.outcome.ok()) done.outcome.rows.clear();
      if (done.reply) done.reply(std::move(done.outcome));
    } else if (done.outcome.ok()) {
      up();
    } else {
      lost(done.outcome.what);
    }
  }

  void disconnect() {
    ++epoch;
    timer.cancel();
    resolver.cancel();
    if (socket.is_open()) socket.release();
    connection.reset();
  }

  void lost(std::string why) {
    disconnect();
    state = State::waiting;
    std::vector<Reply> unknown;
    for (auto it = in_flight.rbegin(); it != in_flight.rend(); ++it) {
      if (it->repeat == Repeat::yes) {
        it->outcome = {};
        waiting.push_front(std::move(*it));
      } else if (!it->session && it->reply) {
        unknown.push_back(std::move(it->reply));
      }
    }
    in_flight.clear();
    // Later: this may be inside of a caller's run().
    asio::post(io, [self = shared_from_this(), why, unknown = std::move(unknown)] {
      if (self->state == State::closed) return;
      if (auto handler = self->handlers.on_down) handler(why);
      for (auto it = unknown.rbegin(); it != unknown.rend() && self->state != State::closed; ++it)
        (*it)(Outcome{.kind = Outcome::Kind::lost, .what = why});
    });
    timer.expires_after(backoff.next().value_or(std::chrono::seconds(30)));
    timer.async_wait(current([](Impl& impl, error_code ec) {
      if (!ec) impl.connect();
    }));
  }

  void close() {
    if (state == State::closed) return;
    disconnect();
    state = State::closed;
    in_flight.clear();
    waiting.clear();
    handlers = {};
  }
};

Connection::Connection(asio::io_context& io, ConnectionOptions options)
    : impl_(std::make_shared<Impl>(io, std::move(options))) {}

Connection::~Connection() { impl_->close(); }

void Connection::prepare_with(std::vector<Statement> statements) { impl_->session = std::move(statements); }

void Connection::start(Handlers handlers) {
  impl_->handlers = std::move(handlers);
  impl_->connect();
}

void Connection::run(std::vector<Statement> transaction, Repeat repeat, Reply reply) {
  Transaction next{std::move(transaction), repeat, std::move(reply)};
  if (impl_->state == Impl::State::up)
    impl_->submit(std::move(next));
  else if (impl_->state != Impl::State::closed)
    impl_->waiting.push_back(std::move(next));
}

void Connection::query(Statement statement, Repeat repeat, Reply reply) {
  std::vector<Statement> transaction;
  transaction.push_back(std::move(statement));
  run(std::move(transaction), repeat, std::move(reply));
}

void Connection::cancel() {
  if (!ready()) return;
  // PQcancel opens a connection of its own and waits for it. The thread owns all it uses.
  if (PGcancel* request = libpq().PQgetCancel(impl_->connection.get())) {
    std::thread([request] {
      char why[256];
      libpq().PQcancel(request, why, sizeof why);  // a failure shows as the statement going on
      libpq().PQfreeCancel(request);
    }).detach();
  }
}

void Connection::reconnect(std::string why) {
  if (impl_->connection) impl_->lost(std::move(why));
}

void Connection::close() { impl_->close(); }
bool Connection::ready() const { return impl_->state == Impl::State::up; }
std::size_t Connection::outstanding() const { return impl_->in_flight.size() + impl_->waiting.size(); }

}  // namespace celeriac::pg
