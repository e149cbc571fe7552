// A connection to RabbitMQ that comes back by itself: one session after another over a socket or TLS, to the
// servers of the list in turn. Everything a turn of the loop writes leaves in one piece.
//
// Single-threaded, on the io_context given. Handlers may call close().
#pragma once

#include "queues/amqp/session.hpp"
#include "queues/amqp/url.hpp"
#include "queues/backoff.hpp"
#include "queues/stream.hpp"
#include "queues/timer.hpp"

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace celeriac::amqp {

class Connection {
 public:
  struct Handlers {
    std::function<void()> on_up;
    std::function<void(std::string why)> on_down;     // after on_up, or an attempt that failed
    std::function<void(std::string why)> on_failed;   // retries used up, or every server refuses us
    std::function<void(std::string why)> on_blocked;  // see Session::Events
  };

  // `servers` is not empty. `max_retries` as in BackoffOptions.
  Connection(boost::asio::io_context& io, std::vector<Server> servers, int max_retries);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start(Handlers handlers);
  bool started() const { return started_; }
  bool ready() const;
  // Only while ready(). What is written leaves at the end of this turn.
  Session& session();
  // The server's goodbye is awaited, a second at most. No handler runs any more but `done`.
  void end(std::function<void()> done);
  // At once; no handler runs any more.
  void close();

  const Server& server() const { return servers_[current_]; }

 private:
  class Talk;  // one stream with its session

  void connect();
  void attempt_ended(const Session::Closed& closed, bool was_open);
  void fail(std::string why);

  boost::asio::io_context& io_;
  std::vector<Server> servers_;
  std::size_t current_ = 0;
  std::size_t refusals_ = 0;  // servers in a row that do not let us in
  Handlers handlers_;
  Backoff backoff_;
  Timer timer_;
  std::function<void()> give_up_connecting_;
  std::shared_ptr<Talk> talk_;
  std::function<void()> ended_;
  bool started_ = false;
};

}  // namespace celeriac::amqp
