// Worker: the consumer of one node. Owns the loop's policy; see docs/architecture.md.
#pragma once

#include "config/settings.hpp"
#include "worker/app.hpp"

namespace celeriac {

// Runs until a signal or a fatal error ends it; returns the process's exit code. Blocks.
int run_worker(const App& app, const Settings& settings, const WorkerOptions& options);

}  // namespace celeriac
