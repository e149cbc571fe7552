// Tells others that a task has ended: a signed POST of the task's state document to the URL that came with
// it.
//
// A callback is a row of the outbox, written with the task's. It is looked at until the task has ended, then
// sent until the receiver answers 2xx, each time under the same id, so that a receiver can tell a repetition;
// after the last attempt, or when it answers 410, the row is "failed" and waits for an operator. Any front
// end goes on with what another left. Signed as Standard Webhooks says: webhook-id, webhook-timestamp and
// webhook-signature ("v1," and the base64 of HMAC-SHA256 over id.timestamp.body).
#pragma once

#include "http/database_threads.hpp"
#include "http/submissions.hpp"
#include "queues/result_backend.hpp"
#include "tasks/engines/http.hpp"
#include "tasks/store/outbox.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace celeriac::http {

// The three headers for `body`, sent at `time` (Unix seconds).
std::vector<std::pair<std::string, std::string>> callback_signature(const std::string& key,
                                                                    const std::string& id, std::int64_t time,
                                                                    const std::string& body);

class Callbacks {
 public:
  // All outlive it. `key` signs.
  Callbacks(boost::asio::io_context& io, DatabaseThreads& database, ResultBackend& results, std::string key);
  ~Callbacks();

  void start();
  void stop();

 private:
  struct Due {
    ClaimedEffect effect;
    Known task;
    bool too_old = false;
  };
  void look();
  void look_later();
  void consider(const Due& due);
  void send(const ClaimedEffect& effect, const Json& document);
  void sent(const std::string& id, const HttpResult& result);
  void settle(std::function<void(Database&)> work);

  struct Line;  // from the engine's thread to the loop
  boost::asio::io_context& io_;
  DatabaseThreads& database_;
  ResultBackend& results_;
  const std::string key_, who_;
  boost::asio::steady_timer timer_;
  std::shared_ptr<Line> line_;
  std::size_t under_way_ = 0;
  bool stopping_ = false;
};

}  // namespace celeriac::http
