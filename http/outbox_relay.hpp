// Sends what was accepted: rows of the outbox become messages. Any process's relay sends what another left
// behind, so what was written once is sent although its writer died.
//
// Lives on one loop; the database's work is done on its threads.
#pragma once

#include "http/database_threads.hpp"
#include "http/submissions.hpp"
#include "queues/broker.hpp"
#include "tasks/store/outbox.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <string>
#include <vector>

namespace celeriac::http {

class OutboxRelay {
 public:
  // All three outlive it.
  OutboxRelay(boost::asio::io_context& io, DatabaseThreads& database, Broker& broker);

  void on_broker(bool connected);
  // Looks for rows that wait, now; it does so by itself every two seconds.
  void wake();

  // As whom new rows are claimed when they are written; "": nobody, for the broker is away.
  std::string sender() const { return connected_ ? who_ : std::string(); }
  // Rows that were written with our claim, without asking the database for them again.
  void send(const std::vector<Submission>& accepted);

  // Looks no more.
  void stop();
  // Calls `done` when the database knows of all that was sent.
  void settle(std::function<void()> done);

 private:
  void publish(ClaimedEffect effect);
  void settle_sent();  // tells the database which were sent, all of one turn at once

  boost::asio::io_context& io_;
  DatabaseThreads& database_;
  Broker& broker_;
  boost::asio::steady_timer timer_;
  const std::string who_;               // as whom rows are claimed
  std::vector<std::string> sent_;       // not yet told to the database
  std::function<void()> when_settled_;  // set by settle()
  bool connected_ = false, asking_ = false, ask_again_ = false, settling_ = false, stopping_ = false;
};

}  // namespace celeriac::http
