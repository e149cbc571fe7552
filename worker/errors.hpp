// What a task may throw, in Celery's words.
#pragma once

#include "protocol/result.hpp"

#include <stdexcept>
#include <string>

namespace celeriac {

// A failure with the Python type that clients re-raise: TaskError("ValueError", Json{"boom", 7}).
// Any other std::exception becomes RuntimeError(what()).
class TaskError : public std::runtime_error {
 public:
  TaskError(std::string type, Json args, std::string module = "builtins");
  const ExceptionInfo& info() const { return info_; }

 private:
  ExceptionInfo info_;
};

// The caller's arguments do not fit; TypeError for the client.
struct BadArguments : TaskError {
  explicit BadArguments(const std::string& what);
};

// Thrown by Context checkpoints once the soft time limit has passed.
struct SoftTimeLimitExceeded : TaskError {
  SoftTimeLimitExceeded();
};

// End the run without a result. Not derived from std::exception on purpose: a task's
// catch (std::exception&) must not swallow them.
struct Ignore {};
struct Reject { std::string reason; bool requeue = false; };

// Context::retry throws this; task code lets it pass.
struct Retry {
  double eta = 0;  // Unix seconds
  ExceptionInfo cause;  // type empty: none
  std::optional<Json> args, kwargs;  // replaced arguments
};

}  // namespace celeriac
