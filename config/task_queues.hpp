// What task_queues says of one queue, with its blanks filled in.
#pragma once

#include "config/settings.hpp"

#include <string>

namespace celeriac {

// Of a queue that task_queues does not name: a direct exchange and a key of the queue's name, no arguments.
QueueSettings queue_settings(const Settings& settings, const std::string& queue);

}  // namespace celeriac
