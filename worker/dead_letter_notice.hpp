// The message that tells of a message which failed for good: `dead_letters.record` in the queue that the
// setting dead_letter_queue names, with the exact message, the cause and the place. Whoever consumes that
// queue keeps it (here: a row of dead_letter_queue). Pure.
#pragma once

#include "worker/job.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace celeriac {

struct DeadNotice {
  std::string
      category;       // "failed", "timeout", "lost", "expired", "unknown_task", "undecodable", "refused", ...
  std::string cause;  // one line
  std::string exception = "null";  // JSON text of the stored exception
  std::string traceback;
  std::string queue, worker, task, task_id;
  std::int64_t attempts = 1;
};

// Nothing for tasks whose failures are not kept: Celery's own, and those that keep dead letters or run on a
// schedule (the next run mends them).
bool keeps_dead_letters_of(std::string_view task);

Outgoing dead_letter_notice(const DeadNotice& notice, const Message& message, const std::string& to_queue,
                            double now);

}  // namespace celeriac
