// The rows of dead_letter_queue: written by notices, sent again by redrives.
#pragma once

#include "protocol/json.hpp"
#include "tasks/store/database.hpp"
#include "worker/context.hpp"

#include <string>

namespace celeriac {

// One row for each task id. The same letter again changes nothing; a task that died again after a redrive
// waits longer, and is FAILED_PERMANENTLY once its redrives are used up. A processing job that the task left
// running ends as failed. Returns the row's id. Throws TaskError("ValueError") for what is no letter.
std::string record_dead_letter(Database& database, const Json& letter);

// Sends the exact message again, as a new delivery of the same task (retries start over, a passed `expires`
// and an ETA are dropped). Returns {"id", "task_id", "status", "redriven"}; `force` also redrives what policy
// would leave to a person. Throws TaskError DeadLetterNotFound, RedriveRefused.
Json redrive(Context& context, Database& database, const std::string& id, bool force);

// Up to `limit` letters whose time has come, urgent ones first. Returns {"redriven", "failed", "confirmed"}:
// confirmed ones were redriven an hour ago and did not come back.
Json auto_redrive(Context& context, Database& database, int limit);

// Counts and alerts: {"total", "by_status", "by_category", "oldest_pending_hours", "alerts": [{"level",
// "message"}]}.
Json dead_letter_health(Database& database);

// Closes a letter by hand.
Json archive_dead_letter(Database& database, const std::string& id, const std::string& by);

}  // namespace celeriac
