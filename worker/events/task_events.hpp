// The events of one task's life: which there are, and their fields. Nothing here sends.
#pragma once

#include "worker/events/event_fields.hpp"
#include "worker/request.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace celeriac {

// The reprs are the message's own, or made of its arguments when it carries none.
TaskEvent received_event(const TaskHeaders& headers, std::string_view argsrepr, std::string_view kwargsrepr);
TaskEvent started_event();
TaskEvent revoked_event(bool terminated, int signal, bool expired);  // signal 0: none
TaskEvent unregistered_event(const std::string& task);

// What a run's end is to monitors, before settle() consumes the outcome. `terminate_signal` is the one
// that a revoke sent, or 0. Nothing for what never was a task.
std::optional<TaskEvent> ended_event(const Outcome& outcome, JobId job, double seconds, int terminate_signal);

// The events to send when the broker has heard `verdict`: a message that goes back or is buried was
// rejected as well.
std::vector<TaskEvent> settled_events(TaskEvent ended, Verdict verdict);

}  // namespace celeriac
