// What a task that replaces itself sends in its place. Pure.
#pragma once

#include "protocol/json.hpp"
#include "protocol/message.hpp"

#include <functional>
#include <string>

namespace celeriac::canvas {

// The checked signature, frozen with the task's own id and with all that followed the task: callbacks,
// errbacks, the rest of its chain, its place in a chord, its stamps. `embed` is the canvas part of the task's
// body. Throws TaskError("ImproperlyConfigured") for what cannot replace a task.
Json replacement(Json signature, const TaskHeaders& task, const Json& embed,
                 const std::function<std::string()>& new_id);

}  // namespace celeriac::canvas
