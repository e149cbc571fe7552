// Client sends tasks and compositions from a program that is no worker, and waits for their results.
//
//   auto client = Client::connect(settings);             // an Error says which URL and why
//   AsyncResult sum = (*client)->send("add", {1, 2});
//   Json value = sum.get(10s);
//   (*client)->apply(chain({Signature("add", {1, 2}), Signature("mul", {10})})).get();
//
// Any Celery worker runs what it sends. Members may be called from any thread and block; one thread of the
// client's own keeps the connections. Neither Client nor AsyncResult works on in the child of a fork().
#pragma once

#include "worker/canvas/canvas.hpp"
#include "worker/context.hpp"
#include "worker/errors.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace celeriac {

class App;
struct Settings;
class ClientCore;
struct ResultNode;

// The server did not take what was asked of it in time, or refused it; kombu.exceptions.OperationalError.
class OperationalError : public std::runtime_error {
 public:
  // What is known of the messages of one call.
  struct Messages {
    std::size_t accepted = 0;  // the broker has them
    std::size_t unsure = 0;    // handed over, not answered: they may have been sent, or leave later
    std::size_t not_sent = 0;  // refused, or never handed over
  };
  OperationalError(const std::string& what, Messages messages)
      : std::runtime_error(what), messages_(messages) {}
  const Messages& messages() const { return messages_; }
  bool may_have_been_sent() const { return messages_.unsure > 0; }

 private:
  Messages messages_;
};

// There was no result in time; celery.exceptions.TimeoutError. The task may still end.
struct TimeoutError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What became of a task or a composition, in the words of Celery's AsyncResult and GroupResult. A cheap
// handle that may outlive its client: its calls then throw OperationalError.
//
// Calls that read results throw std::logic_error where there are none: without a result store, and for
// tasks sent with ignore_result.
class AsyncResult {
 public:
  using Seconds = std::chrono::duration<double>;

  const std::string& id() const;              // of the task; of the group
  std::optional<AsyncResult> parent() const;  // the step of a chain before this one; a chord's header
  bool is_group() const;
  std::vector<AsyncResult> members() const;  // of a group, in order
  Json as_tuple() const;  // [[id, parent], members], as Python's result_from_tuple takes it

  // PENDING also for a task nobody knows. Of a group: FAILURE when a member has failed, SUCCESS when all have
  // succeeded, PENDING otherwise.
  std::string state() const;
  bool ready() const;  // it has ended; every member has

  // Waits for the result; a group's is the list of its members' in order. Without a timeout for ever, also
  // while the store is away. Throws TimeoutError, and with `propagate` the failure (TaskError) of the task,
  // of the first member that fails, or of an earlier step or part that this result cannot do without. Without
  // `propagate` a failure is returned as it is stored: {"exc_type", "exc_message", "exc_module"}.
  Json get(std::optional<Seconds> timeout = {}, bool propagate = true) const;

  void forget() const;  // deletes the stored result, its parents' and its members'
  // Tells the workers not to begin it; with `terminate` also to end it where it runs. Workers that are not
  // connected do not hear of it.
  void revoke(bool terminate = false) const;

 private:
  friend class Client;
  AsyncResult(std::shared_ptr<ClientCore> core, std::shared_ptr<const ResultNode> node)
      : core_(std::move(core)), node_(std::move(node)) {}

  std::shared_ptr<ClientCore> core_;
  std::shared_ptr<const ResultNode> node_;
};

struct ClientOptions {
  // How long a call waits for the broker, or for the store where it does not wait for a result. The broker
  // reconnects by itself in that time; send_all() starts anew with each answer.
  std::chrono::duration<double> timeout{10};
  const App* app = nullptr;  // whose tasks name their queues; outlives the client
};

class Client {
 public:
  // Connected to the broker and to the result store, if there is one. Waits broker_connection_timeout.
  static Expected<std::unique_ptr<Client>> connect(const Settings& settings, ClientOptions options = {});
  // Waits up to 5 s for the server to take what calls have left behind.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // These return once the broker has the messages. They throw OperationalError when it has not, TaskError
  // (BadArguments, ValueError) for what cannot be sent. Where no queue is given it is found by task_routes,
  // the app's task and task_default_queue.
  AsyncResult send(std::string_view task, Json args = Json::array(), Json kwargs = Json::object(),
                   SendOptions options = {});
  // One task for each list of arguments. They leave together in few writes, in order. `options` without a
  // task_id.
  std::vector<AsyncResult> send_all(std::string_view task, std::vector<Json> argument_lists,
                                    const SendOptions& options = {});
  AsyncResult apply(const Signature& signature);
  // As apply() for each, in order of their messages, but they leave together in few writes. One that cannot
  // be sent throws before any is.
  std::vector<AsyncResult> apply_all(const std::vector<Signature>& signatures);

  // What others have sent: by a task's id, or by as_tuple() (throws BadArguments when it is none).
  AsyncResult result(std::string task_id) const;
  AsyncResult result_from_tuple(const Json& tuple) const;

 private:
  explicit Client(std::shared_ptr<ClientCore> core) : core_(std::move(core)) {}

  std::shared_ptr<ClientCore> core_;
};

}  // namespace celeriac
