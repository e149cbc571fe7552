// Context: the running call, as the task sees it. Passed first to every task.
//
// Lives in a slot (child process or thread) for one run; used by one thread. It holds no
// connection: whatever it asks for travels to the worker's loop through TaskPort.
#pragma once

#include "protocol/body.hpp"
#include "worker/canvas/canvas.hpp"
#include "worker/errors.hpp"
#include "worker/job.hpp"
#include "worker/task_options.hpp"

#include <atomic>
#include <optional>
#include <string>
#include <string_view>

namespace celeriac {

class App;

// The slot's line to the worker's loop; one implementation per pool.
class TaskPort {
 public:
  virtual ~TaskPort() = default;
  // What is_call() returns when it is done (an error text otherwise, empty for success): a SendRequest when
  // the broker has the message. The others return at once.
  virtual std::string request(TaskRequest request) = 0;
};

// Options of Context::send, in apply_async's words.
struct SendOptions {
  std::string task_id = {};  // empty: a fresh UUID4
  std::string queue = {};
  std::optional<double> countdown = {};          // seconds
  std::optional<double> eta = {}, expires = {};  // Unix seconds
  std::optional<int> priority = {};
  std::optional<double> time_limit = {}, soft_time_limit = {};
  std::optional<bool> ignore_result = {};
  Json headers = nullptr;  // extra, merged flat
};

struct RetryOptions {
  std::optional<double> countdown = {};        // seconds; unset: default_retry_delay
  std::optional<double> eta = {};              // Unix seconds
  std::optional<int> max_retries = {};         // overrides the task's; -1: for ever
  std::optional<TaskError> exc = {};           // raised when retries are used up
  std::optional<Json> args = {}, kwargs = {};  // replace the arguments of the next run
};

class Context {
 public:
  // `body` gives retry() the arguments to name when retries are used up, and what follows the task; `app` is
  // for call(). All references outlive the Context.
  Context(const Job& job, const TaskOptions& options, TaskPort& port, const std::atomic<bool>& soft_limit_hit,
          const Body* body = nullptr, const App* app = nullptr);

  const std::string& task_id() const;
  const std::string& task() const;
  const std::string& root_id() const;  // own id when the message has none
  const std::string& parent_id() const;
  const std::string& group() const;
  const std::string& hostname() const;
  std::int64_t retries() const;
  const TaskHeaders& headers() const;
  const Message& message() const;  // raw headers, properties
  bool redelivered() const;

  // One header of the message, the sender's own ("x-tenant") included; null when it has none.
  Json header(std::string_view name) const;
  // Delivery information: the priority the message came with, the queue's routing key.
  std::optional<int> priority() const;
  const std::string& routing_key() const;

  // Ends this run and schedules another one of the same id; past max_retries it throws
  // options.exc or MaxRetriesExceededError instead.
  [[noreturn]] void retry(RetryOptions options = {});

  // Sends another task; returns its id once the broker has it. Throws TaskError("OperationalError")
  // when the broker refuses it.
  std::string send(std::string_view task, Json args = Json::array(), Json kwargs = Json::object(),
                   SendOptions options = {});

  // Sends a composition and returns the result tuple a Python client makes of it: [[id, parent], members].
  Json apply(const Signature& signature);
  // Ends this run; the signature takes its place under the same id, with all that was to follow it.
  [[noreturn]] void replace(const Signature& signature);
  // One more part for the chord this task belongs to. Throws TaskError("ValueError") outside of a chord.
  Json add_to_chord(const Signature& signature);
  // Calls another registered task's function within this run. Throws TaskError("NotRegistered").
  Json call(std::string_view task, const Json& args, const Json& kwargs = Json::object());

  void update_state(std::string_view state, const Json& meta = nullptr);
  void progress(std::uint64_t done, std::uint64_t total, std::string_view stage = {});  // state PROGRESS
  void log(int level, std::string_view text);  // spdlog levels; Celery's task log line

  // Throws SoftTimeLimitExceeded once the soft limit has passed. Long bodies call it often.
  void checkpoint() const;
  bool soft_limit_exceeded() const;  // the same as a question, for engine callbacks

  // Used by the runner, not by tasks: result tuples of what was sent.
  const Json& children() const { return children_; }
  // Used by built-in tasks.
  std::string ask(TaskRequest request) { return port_.request(std::move(request)); }

 private:
  Json send_canvas(Json signature, std::string grow_chord);

  const Job& job_;
  const TaskOptions& options_;
  TaskPort& port_;
  const std::atomic<bool>& soft_limit_hit_;
  const Body* body_;
  const App* app_;
  mutable std::optional<Json> header_map_;  // read when first asked for
  Json children_ = Json::array();
};

}  // namespace celeriac
