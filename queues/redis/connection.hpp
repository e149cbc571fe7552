// One connection to a Redis server that keeps itself up.
//
// Commands given in one turn of the loop leave in one write; answers come to the
// handlers in order. When the connection is lost every handler still waiting gets a Reply
// with lost() set, and the connection tries again for ever (backoff.hpp); what must be
// repeated is repeated by the owner, from on_up. A server that answers LOADING, READONLY,
// MASTERDOWN or that it is part of a cluster counts as lost; so does one that sentinels named and that is
// no master (any more). A server that is silent for socket_timeout while an answer
// is due counts as lost too; an idle connection is tested with PING.
//
// Concurrency: one loop. Handlers may call any member, or destroy the Connection.
#pragma once

#include "config/settings.hpp"
#include "config/url.hpp"
#include "protocol/error.hpp"
#include "queues/redis/reply.hpp"
#include "queues/redis/request.hpp"
#include "queues/redis/sentinel.hpp"
#include "queues/stream.hpp"

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

namespace celeriac::redis {

std::chrono::milliseconds to_milliseconds(double seconds);  // to the nearest

struct ConnectionOptions {
  static constexpr int no_database = -1;  // SELECT is not sent: sentinels have none

  Endpoint endpoint;           // with sentinels: only its TLS settings count
  SentinelOptions sentinels;   // who know where the master is; asked before each connect
  std::string user, password;  // AUTH; no password: none sent
  int db = 0;
  std::string client_name;  // CLIENT SETNAME; empty: none
  std::chrono::milliseconds connect_timeout{4000};
  std::chrono::milliseconds socket_timeout{30000};
  std::size_t max_reply_bytes = 600u << 20;  // the server's own limit for one value is 512 MiB
  int max_retries = 0;                       // for the very first connect only; 0: for ever, negative: none
};

// From redis://, rediss:// or redis+socket:// (aliases: redis+ssl, unix). Query keys override:
// db, virtual_host, ssl_cert_reqs, ssl_ca_certs, ssl_certfile, ssl_keyfile.
Expected<ConnectionOptions> connection_options(const Url& url, const RedisOptions& redis,
                                               const TlsOptions& tls);

// The same from a setting's text, which may also be sentinel://[:password@]host[:port]/db;sentinel://... with
// the master_name, and perhaps sentinel_kwargs, in the transport options. User, password and database are
// the master's and are taken from the first of the URLs that has them.
Expected<ConnectionOptions> connection_options(std::string_view text, const RedisOptions& redis,
                                               const TlsOptions& tls);
bool is_redis_url(std::string_view text);
std::string display_urls(std::string_view text);  // each without its password

class Connection {
 public:
  using Handler = std::function<void(Reply)>;

  struct Handlers {
    std::function<void()> on_up;                   // authenticated, database selected; ready() is true
    std::function<void(std::string why)> on_down;  // lost, or an attempt failed; trying again
    // Not trying any more: max_retries used up, or credentials refused at the first connect.
    std::function<void(std::string why)> on_failed;
    // Set on subscriber connections: receives every pub/sub array, also the confirmations of
    // (P)SUBSCRIBE. Such commands are sent with subscribe(), which expects no answer.
    std::function<void(Reply)> on_push;
  };

  Connection(boost::asio::io_context& io, ConnectionOptions options);
  ~Connection();  // as close()
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start(Handlers handlers);

  // Sends what is buffered if it can without waiting, then disconnects. Handlers still
  // waiting, and all in Handlers, are not called any more.
  void close();

  bool ready() const;
  std::size_t outstanding() const;  // answers due

  // The handler runs once per command of the request (0 commands: never), in order. While not
  // ready() each gets lost(), in a later turn. An empty handler drops the answers.
  void send(const Request& request, Handler handler);
  void send(Request&& request, Handler handler);  // spares the copy of large ones
  void send(std::initializer_list<std::string_view> command, Handler handler);
  void subscribe(const Request& request);

  // Drops the connection and connects anew, as if it had been lost for this reason.
  void reconnect(std::string why);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace celeriac::redis
