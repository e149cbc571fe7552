// One command's connection to the broker and the result store, used as if it were blocking.
//
// The drivers reconnect by themselves; a command does not want that: it says that the server cannot be
// reached and leaves with exit code 69.
#pragma once

#include "cli/command.hpp"
#include "config/settings.hpp"
#include "queues/connect.hpp"

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>

namespace celeriac {

// Settings from file, environment and the global options; warnings go to context.err. Nullopt: the reason
// was printed, leave with exit code 2.
std::optional<Settings> load_command_settings(CommandContext& context);

class Session {
 public:
  using Seconds = std::chrono::duration<double>;

  explicit Session(Settings settings);
  ~Session();  // writes what is queued, then disconnects
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const Settings& settings() const { return settings_; }
  boost::asio::io_context& io() { return io_; }
  bool lost() const { return !lost_.empty(); }  // a connection failed

  // Connected, or an error for an operator.
  Expected<Broker*> broker();
  // The first store of settings.result_backend; an error when there is none.
  Expected<ResultBackend*> results();

  // Starts an operation and runs the loop until it has answered, the connection is lost, or `limit`
  // has passed (none: no limit).
  template <class T>
  Expected<T> wait(const std::function<void(std::function<void(Expected<T>)>)>& start,
                   std::optional<Seconds> limit = Seconds(30)) {
    auto answer = std::make_shared<std::optional<Expected<T>>>();
    start([answer](Expected<T> value) { *answer = std::move(value); });
    auto failure = run_until([&] { return answer->has_value(); }, limit);
    if (*answer) return std::move(**answer);
    return unexpected(std::move(failure));
  }
  // The same for operations that answer with a Status.
  Expected<void> wait_done(const std::function<void(Done)>& start);

 private:
  // Empty when `ready`, otherwise what went wrong.
  std::string run_until(const std::function<bool()>& ready, std::optional<Seconds> limit);
  void note(BrokerState state, const std::string& what);

  Settings settings_;
  boost::asio::io_context io_{1};
  std::unique_ptr<Broker> broker_;
  std::unique_ptr<ResultBackend> results_;
  BrokerState broker_state_ = BrokerState::connecting;
  std::string lost_;
};

}  // namespace celeriac
