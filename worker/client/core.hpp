// ClientCore is the inside of a Client: the loop on its own thread with the connections, and the calls of
// other threads that wait for it.
//
// A call that sends waits on the caller's side until the broker is connected and hands its messages over
// only then, so that an error can say whether they may have been sent.
#pragma once

#include "config/settings.hpp"
#include "queues/broker.hpp"
#include "worker/canvas/runner.hpp"
#include "worker/client.hpp"
#include "worker/result_stores.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace celeriac {

std::string seconds_text(double seconds);  // "2.5 s"

class ClientCore {
 public:
  using Steady = std::chrono::steady_clock;
  using Seconds = std::chrono::duration<double>;

  ClientCore(const Settings& settings, const ClientOptions& options);
  ~ClientCore();  // as close()

  Expected<void> connect();
  void close();  // ends what waits with OperationalError

  const Settings& settings() const { return settings_; }
  const App& app() const { return *app_; }
  canvas::Sender sender() const;

  // Messages of one call on their way, handed over in parts. Used by one thread.
  class Sending;

  // For each of `ids` the stored document, if any.
  std::map<std::string, std::optional<Json>> fetch(const std::vector<std::string>& ids);
  void forget(const std::vector<std::string>& ids);

  // The documents of all `needed` once they are ready. With `propagate` ends with the first failure among
  // them or `watched`, which is then the only document.
  std::map<std::string, Json> wait(const std::set<std::string>& needed, const std::set<std::string>& watched,
                                   std::optional<Seconds> timeout, bool propagate);

 private:
  // How many messages were accepted, and why not all.
  using Answer = std::function<void(std::size_t accepted, std::string problem)>;
  struct Call {  // guarded by mutex_
    std::condition_variable changed;
    bool closed = false;
  };
  class Registered;
  struct Part;
  struct Flight;
  struct Awaiting;
  using Lock = std::unique_lock<std::mutex>;

  void run();
  void broker_state(BrokerState state, std::string what);
  void store_state(BrokerState state, std::string what);
  void begin(const std::shared_ptr<Flight>& flight, const std::shared_ptr<Part>& part);
  void look(const std::shared_ptr<Awaiting>& awaiting, const std::string& id);
  void check_stores() const;
  std::string store_trouble() const;  // "" or "; the result store ... : why"; under mutex_
  template <class T>
  std::map<std::string, T> ask_each(
      const std::vector<std::string>& ids,
      const std::function<void(const std::string&, std::function<void(Expected<T>)>)>& start);

  const Settings settings_;
  const Seconds timeout_;
  const std::unique_ptr<const App> no_app_;
  const App* const app_;

  mutable std::mutex mutex_;
  std::condition_variable state_changed_;
  std::set<Call*> calls_;
  bool closed_ = false;
  BrokerState broker_state_ = BrokerState::connecting, store_state_ = BrokerState::connecting;
  std::string broker_trouble_, store_trouble_;
  unsigned broker_losses_ = 0;

  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::unique_ptr<Broker> broker_;
  std::unique_ptr<ResultStores> stores_;
  std::unique_ptr<canvas::CanvasRunner> runner_;
  std::thread thread_;
  // The loop's: parts that wait for a connection, and how many have begun without an answer yet.
  std::deque<std::pair<std::shared_ptr<Flight>, std::shared_ptr<Part>>> held_;
  std::size_t unanswered_ = 0;
};

class ClientCore::Sending {
 public:
  Sending(ClientCore& core, std::size_t messages);
  ~Sending();
  Sending(const Sending&) = delete;
  Sending& operator=(const Sending&) = delete;

  // Wait while too many parts are under way; throw OperationalError when none gets on in time.
  void publish(std::vector<Message> messages);
  void send(std::vector<canvas::Step> steps, std::size_t messages);  // `messages` of the steps are such
  void broadcast(Message message);
  // Waits for every answer.
  void finish();

 private:
  void hand_over(std::size_t messages, std::function<void(Answer)> start);  // `start` runs on the loop
  void wait_for(std::size_t most_open);
  [[noreturn]] void fail(const std::string& why);  // under mutex_

  ClientCore& core_;
  std::shared_ptr<Flight> flight_;
};

}  // namespace celeriac
