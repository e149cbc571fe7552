// What a caller writes to have a task sent.
#pragma once

#include "http/exchange.hpp"
#include "http/submissions.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace celeriac::http {

// What is wrong with a body, place by place.
struct Faults {
  Json list = Json::array();
  void add(const std::string& pointer, const std::string& what);  // pointer: RFC 6901, "" is the whole
};
Response bad_body(const Faults& faults);

struct TaskArgument {
  std::string name;
  Json schema;  // JSON Schema
  bool required = false;
};

// A task that may be sent: one registered here, and where it goes.
struct TaskEntry {
  std::string name, queue;
  std::vector<std::string> params = {};      // names of its arguments; empty: not known
  std::vector<TaskArgument> arguments = {};  // what is known of them, in their order
  // Whether it would take these; empty: not known.
  std::function<void(const Json& args, const Json& kwargs, Faults& faults)> check = {};
};

// Members args, kwargs, countdown, eta, expires, priority and queue of a JSON object; in a batch task, too.
// The id is new. What does not fit goes to `faults`. `callback_hosts`: whom a caller may have called back.
Submission read_submission(const Json& body, const TaskEntry& task,
                           const std::vector<std::string>& callback_hosts, Faults& faults);

// Prefer: wait=10, perhaps among other preferences (RFC 7240); 0: none is wanted. At most 60 seconds.
double wanted_wait(std::string_view prefer);

// A structured-field string: "9f2c". The quotes may be missing.
std::optional<std::string> idempotency_key(const std::string& header);

}  // namespace celeriac::http
