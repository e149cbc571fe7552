// Task states and the document a result store keeps for one task.
#pragma once

#include "protocol/json.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace celeriac {

// Celery's state names, upper case; tasks may invent others with update_state.
namespace state {
inline constexpr std::string_view pending = "PENDING", started = "STARTED", success = "SUCCESS",
                                  failure = "FAILURE", retry = "RETRY", revoked = "REVOKED",
                                  ignored = "IGNORED", rejected = "REJECTED";
}
bool is_ready(std::string_view state);      // SUCCESS, FAILURE, REVOKED
bool is_exception(std::string_view state);  // FAILURE, RETRY, REVOKED

// An exception as clients rebuild it.
struct ExceptionInfo {
  std::string type;                 // Python's __qualname__: "ValueError"
  std::string module = "builtins";  // "celery.exceptions", "billiard.exceptions", ...
  std::string args = "[]";          // JSON text of the argument array

  std::string json() const;  // {"exc_type": ..., "exc_message": [...], "exc_module": ...}
  std::string repr() const;  // ValueError('boom', 7)
};

// One state change, ready to be stored. Values that came out of a slot stay JSON text:
// no store needs them as trees except PostgreSQL, which pickles.
struct TaskResult {
  std::string task_id;
  std::string status;
  std::string result = "null";      // JSON text
  std::string traceback;            // empty: null
  std::string children = "[]";      // JSON text; "null" outside of a request
  double date_done = 0;             // Unix seconds; written only when is_ready(status)
  std::string group_id, parent_id;  // empty: left out
  bool extended = false;            // result_extended: the fields below are written
  std::string name, args = "[]", kwargs = "{}", worker, queue;  // args, kwargs: JSON text
  std::int64_t retries = 0;
  std::string stamps;                    // JSON object text; empty: none
  std::string reply_to, correlation_id;  // of the task's message; only rpc:// reads them
};

// The meta document in Celery 5.6's key order.
std::string write_result(const TaskResult& result);
void write_result(const TaskResult& result, std::string& out);
Expected<Json> read_result(std::string_view text);

}  // namespace celeriac
