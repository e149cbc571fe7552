// One connection to a PostgreSQL server that keeps itself up, by libpq in pipeline mode.
//
// A transaction is one or more statements that are done together or not at all; many may be
// under way at once, and are answered in order. When the connection is lost it is made again
// for ever (backoff.hpp). Transactions that were not sent yet wait for that; of those sent and
// not answered the ones marked Repeat::yes are sent again, in their old order and ahead of all
// others, and Repeat::no is answered with Outcome::lost: the server may or may not have done it.
//
// No server-side prepared statements and no session settings are used, so a pooler in
// transaction mode may stand in between.
//
// Concurrency: one loop, never blocked (names are resolved by asio, cancel() works on a thread of
// its own). Handlers may call any member, or destroy the Connection.
#pragma once

#include "config/url.hpp"
#include "protocol/error.hpp"
#include "queues/postgres/outcome.hpp"
#include "queues/postgres/statement.hpp"

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace celeriac::pg {

struct ConnectionOptions {
  std::vector<std::pair<std::string, std::string>> parameters;  // libpq's keywords, but for the address
  std::string host;                                             // a name, an address, or a socket's folder
  std::string port = "5432";
  std::chrono::milliseconds connect_timeout{10000};
};

// From postgresql://user:password@host:port/database?key=value, also with SQLAlchemy's "db+" before and
// "+driver" after the scheme. Query keys are libpq's (host, sslmode, application_name, ...).
Expected<ConnectionOptions> connection_options(const Url& url);

enum class Repeat : bool { no, yes };

class Connection {
 public:
  using Reply = std::function<void(Outcome)>;

  struct Handlers {
    std::function<void()> on_up;
    std::function<void(std::string why)> on_down;  // lost, or an attempt failed; trying again
    // The very first connect was refused for what the URL says (user, password, database): closed, and what
    // waited is answered with Outcome::lost. Without this handler it is tried again like everything else.
    std::function<void(std::string why)> on_failed;
  };

  Connection(boost::asio::io_context& io, ConnectionOptions options);
  ~Connection();  // as close()
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Statements done on every new connection before it counts as up; if one is refused, the
  // connection counts as lost. Call before start().
  void prepare_with(std::vector<Statement> statements);

  void start(Handlers handlers);

  // BEGIN, COMMIT and COPY are not for here: the transaction is implied.
  void run(std::vector<Statement> transaction, Repeat repeat, Reply reply);
  void query(Statement statement, Repeat repeat, Reply reply);  // a transaction of one

  // Asks the server to give up the statement it works on, which is then refused with 57014.
  void cancel();

  // Drops the connection and makes a new one.
  void reconnect(std::string why);

  // Disconnects at once. Replies still due are not called any more.
  void close();

  bool ready() const;
  std::size_t outstanding() const;  // transactions not answered, sent or not

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace celeriac::pg
