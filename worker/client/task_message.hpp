// The message that Celery's apply_async sends, for programs that are no worker.
#pragma once

#include "worker/context.hpp"
#include "worker/job.hpp"

#include <string>
#include <string_view>

namespace celeriac {

class App;
struct Settings;

// What options left out: the queue is found by route(), the priority is task_default_priority, ignore_result
// what the app's task or task_ignore_result says.
SendOptions complete_options(std::string_view task, SendOptions options, const Settings& settings,
                             const App& app);

// `options` are complete; `args` and `kwargs` may be null: none. Throws as build_send.
SendRequest client_message(std::string_view task, Json args, Json kwargs, SendOptions options);

}  // namespace celeriac
