// What every result store must do, whatever it is made of. A test program describes its store and calls
// exercise_backend() from one TEST_CASE; the parts are doctest subcases.
#pragma once

#include "config/settings.hpp"
#include "queues/result_backend.hpp"

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace celeriac::testing {

struct BackendUnderTest {
  std::function<Expected<std::unique_ptr<ResultBackend>>(boost::asio::io_context&, const Settings&)> make;
  std::function<void()> kill_connections = {};  // the server drops every client it has; none: it has none
  bool keeps_relations = true;                  // children, group_id, parent_id are kept (key-value stores)
  bool success_replaces_success = false;
};

void exercise_backend(const BackendUnderTest& under_test);

// A started store and the loop it lives on, with calls that wait for their answer.
class BackendLoop {
 public:
  explicit BackendLoop(const BackendUnderTest& under_test, Settings settings = {});
  ~BackendLoop();

  // Runs the loop until `done()`; false after `limit`.
  bool run_until(const std::function<bool()>& done, std::chrono::seconds limit = std::chrono::seconds(30));

  void store(TaskResult result);  // in the background; failures are counted
  bool flush();                   // until all stores were answered
  Status store_now(TaskResult result);
  std::optional<Json> fetch(const std::string& task_id);
  Expected<Json> wait(const std::string& task_id, std::chrono::milliseconds timeout);
  bool forget(const std::string& task_id);
  void stop();

  boost::asio::io_context io;
  std::unique_ptr<ResultBackend> backend;
  std::size_t pending = 0, stored = 0, failures = 0, times_connected = 0, times_lost = 0;
  std::string last_failure;
};

TaskResult result_of(std::string task_id, std::string_view status, std::string json = "null");

}  // namespace celeriac::testing
