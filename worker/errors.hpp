// What a task may throw, in Celery's words.
#pragma once

#include "protocol/result.hpp"

#include <optional>
#include <stdexcept>
#include <string>

namespace celeriac {

// A failure with the Python type that clients re-raise: TaskError("ValueError", Json{"boom", 7}).
// `args` is the array of the exception's arguments; a single value stands for an array of one.
// what() is Python's str(exception). Any other std::exception becomes RuntimeError(what()).
class TaskError : public std::runtime_error {
 public:
  TaskError(std::string type, Json args, std::string module = "builtins");
  explicit TaskError(ExceptionInfo info);
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
struct Reject {
  std::string reason;
  bool requeue = false;
};

// Context::retry throws this; task code lets it pass.
struct Retry {
  double eta = 0;                    // Unix seconds
  std::string when;                  // "in 3s" or "at 2026-11-20 11:06:40+00:00", for the reason
  ExceptionInfo cause;               // type empty: none
  std::optional<Json> args, kwargs;  // replaced arguments
};

// Python's str(exception) and the last line of its traceback ("celery.exceptions.Ignore: ...").
std::string exception_message(const ExceptionInfo& exception);
std::string exception_line(const ExceptionInfo& exception);

}  // namespace celeriac
