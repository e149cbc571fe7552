// The pool's vocabulary: what goes to a slot, and what comes back.
//
// Values that came from or go to the wire stay JSON text here: the worker's loop passes
// them on without reading them.
#pragma once

#include "protocol/message.hpp"
#include "protocol/result.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace celeriac {

// The worker's name for one run; unique for the life of the worker.
using JobId = std::uint64_t;

// Shared with a thread of the threads pool, hence const and shared; the prefork pool
// copies it over a socket.
struct Job {
  JobId id = 0;
  std::shared_ptr<const Message> message;
  std::shared_ptr<const TaskHeaders> headers;
  std::string queue;
  std::string hostname;  // node name, for the Context
  bool redelivered = false;
  bool acks_late = false;
  double soft_limit = 0;  // seconds; 0: none
  double hard_limit = 0;  // seconds; 0: none
};

// A message a task asks to send (Context::send, a retry, a canvas step).
struct Outgoing {
  std::string queue;  // empty: routed by the worker's settings
  Message message;    // headers and body complete
};

// What became of a job. The worker (settle.hpp), not the pool, decides what each means for
// acknowledgement, retry and result.
struct Returned {
  std::string result = "null";  // JSON text
  std::optional<std::string>
      embed;  // JSON text of the canvas part, empty: nothing follows; unset: look into the message
  std::string children = "[]";  // JSON text: result tuples of what the task sent
};
struct Threw {
  ExceptionInfo exception;
  std::string traceback;  // text; may be empty
  bool expected = false;  // the type is listed in TaskOptions::throws
  std::optional<std::string> embed;
  std::string children = "[]";
};
struct AskedRetry {
  double eta = 0;           // Unix seconds when the next run is due
  ExceptionInfo exception;  // what to store; type empty when no cause was given
  std::string reason;       // "Retry in 1s: ValueError('x')"
  std::string traceback;
  Outgoing next;  // the message to publish before the ack
  std::string children = "[]";
};
struct Ignored {};
struct Rejected {
  bool requeue = false;
  std::string reason;
};
struct Undecodable {
  Refused why;
};  // the body could not be read: the task never ran
struct HardTimeout {
  double limit = 0;
};                 // killed by the pool
struct Lost {      // the slot died under the job
  int signal = 0;  // or 0
  int exit_code = 0;
  bool out_of_memory = false;
  bool terminated = false;  // by terminate(): a revoke, not an accident
};
using Outcome = std::variant<Returned, Threw, AskedRetry, Ignored, Rejected, Undecodable, HardTimeout, Lost>;

struct Usage {
  double wall = 0;             // seconds in the task body
  double cpu = 0;              // user + system seconds
  std::uint64_t peak_rss = 0;  // bytes; 0 when not known (threads share one process)
};

struct Finished {
  JobId job = 0;
  Outcome outcome;
  Usage usage;
  std::string args_repr, kwargs_repr;  // filled when the message carried none
};

struct Started {
  JobId job = 0;
  int pid = 0;
  double at = 0;  // Unix seconds
};

// Calls a running task makes; answered by the worker's loop in order.
struct SendRequest {
  Outgoing outgoing;
  std::string task_id;
};
struct StateRequest {
  std::string state;
  std::string meta;
};  // meta: JSON text
struct LogRequest {
  int level = 0;
  std::string text;
};  // spdlog's levels
struct CanvasRequest {
  std::string signature;   // JSON text
  std::string grow_chord;  // id of the chord that gets one part more by it; empty: none
};
struct UnlockRequest {
  std::string group_id, body, results;
};                                                           // body and result tuples: JSON text
inline constexpr const char* chord_not_ready = "not ready";  // its answer when parts still run
struct CleanupRequest {};                                    // delete expired results
using TaskRequest =
    std::variant<SendRequest, StateRequest, LogRequest, CanvasRequest, UnlockRequest, CleanupRequest>;

// The task waits for the reply of these.
inline bool is_call(const TaskRequest& request) {
  return !std::holds_alternative<StateRequest>(request) && !std::holds_alternative<LogRequest>(request);
}

}  // namespace celeriac
