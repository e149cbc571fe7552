// The messages a task sends to others: what a new task inherits from the one that sends it.
// Pure: no clock, no connection.
#pragma once

#include "protocol/body.hpp"
#include "worker/context.hpp"

#include <string>
#include <string_view>

namespace celeriac {

// A new task sent by `parent` at `now` (Unix seconds): its root_id is the parent's, its parent_id the
// parent's id. A parent without an id is none: the task is the root. The priority is the caller's; whether a
// parent's is inherited is the worker's setting.
SendRequest build_send(const TaskHeaders& parent, std::string_view task, Json args, Json kwargs,
                       SendOptions options, double now);

// AsyncResult(id).as_tuple() in JSON: [[id, null], null].
Json result_tuple(const std::string& id);

// Properties::expiration for a message that expires then: whole milliseconds, never negative.
std::string expiration_text(double expires, double now);

// "gen<pid>@<host>", Celery's name for where a message was made.
const std::string& message_origin();

}  // namespace celeriac
