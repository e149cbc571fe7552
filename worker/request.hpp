// A Request is one message this worker holds, from its delivery until it is settled.
//
// TaskPolicy is what a task's options come to once the settings have filled the gaps; it is
// computed once per registered task, so that a delivery costs no look-ups.
#pragma once

#include "config/settings.hpp"
#include "queues/broker.hpp"
#include "worker/app.hpp"
#include "worker/events/event_fields.hpp"
#include "worker/job.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace celeriac {

namespace canvas {
struct Aftermath;
}

struct TaskPolicy {
  const App::Task* task = nullptr;
  bool acks_late = false;
  bool acks_on_failure = true, acks_on_timeout = true;
  bool deduplicate = false;  // a message that was delivered before does not run again once it has succeeded
  bool reject_on_worker_lost = false;
  bool ignore_result = false;
  bool store_errors_even_if_ignored = false;
  bool track_started = false;
  double soft_limit = 0, hard_limit = 0;  // seconds; 0: none
  double rate = 0;                        // runs per second; 0: no limit
};

// Fails when the task's rate limit cannot be read.
Expected<TaskPolicy> resolve_policy(const App::Task& task, const Settings& settings);

// What the broker hears about a message.
enum class Verdict : std::uint8_t {
  nothing,  // it was acknowledged when the task started
  ack,
  requeue,  // to the back of its queue, for anybody
  bury,     // a dead letter with its exact bytes
};

struct Request {
  enum class Phase : std::uint8_t {
    limited,  // waits for a token of its task's rate limit
    ready,    // may run; not given to the pool yet
    pooled,   // in the pool, not started
    running,
    finished,  // ended; its result or its follow-up messages are on their way
  };

  JobId job = 0;
  Tag tag = 0;
  Phase phase = Phase::ready;
  bool redelivered = false;
  bool taken = false;          // its delivery is void: the message is back in its queue
  bool cancelled = false;      // ended because of that
  bool settled = false;        // acknowledged (or rejected, buried): the broker has forgotten it
  bool ignore_result = false;  // the message's word, else the policy's
  bool looked_up = false;      // whether it has succeeded before is known: it has not
  double soft_limit = 0, hard_limit = 0;
  double held_since = 0;  // Unix seconds when it became ready
  double started_at = 0;  // Unix seconds; 0: not yet
  int pid = 0;
  std::string queue;
  std::shared_ptr<const Message> message;
  std::shared_ptr<const TaskHeaders> headers;
  const TaskPolicy* policy = nullptr;
  // Carried out once the result is stored.
  Verdict verdict = Verdict::nothing;
  bool stores_success = false;               // the row on its way is a SUCCESS
  std::string category, cause;               // of a dead letter
  std::optional<TaskEvent> ended;            // told once the request is settled
  bool told_dead = false;                    // its dead letter's notice is on its way
  int terminate_signal = 0;                  // of a revoke with terminate; 0: none
  std::string sent = "[]";                   // JSON text: result tuples of the canvases it sent
  std::shared_ptr<canvas::Aftermath> after;  // what follows once the result is stored
  std::vector<Tag> duplicates;               // further deliveries of the same run, settled together with it

  const std::string& id() const { return headers->id; }
};

// The content types behind accept_content's short names; a name that is one already stays.
std::vector<std::string> content_types(const std::vector<std::string>& accept_content);

Request make_request(JobId job, Delivery&& delivery, TaskHeaders&& headers, const TaskPolicy& policy);

// A result row of this request: identity, and the extended fields when asked for.
// `status`, `result` and the rest of the outcome are the caller's.
TaskResult result_row(const Request& request, bool extended, const std::string& hostname,
                      const std::vector<std::string>& accept);

// The arguments as Python writes them: the message's own words, else made from its body. Of a body too
// large to be read just for that only the shape is told.
struct ArgumentReprs {
  std::string args, kwargs;
};
ArgumentReprs argument_reprs(const Message& message, const TaskHeaders& headers,
                             const std::vector<std::string>& accept);

// JSON text of the elements of a protocol 2 body "[args, kwargs, embed]", found
// without building a document. Nothing when the text does not have that shape.
struct ArgumentTexts {
  std::string_view args, kwargs;
  std::string_view embed;  // empty when there is none
};
std::optional<ArgumentTexts> argument_texts(std::string_view body);

}  // namespace celeriac
