// A prefork slot's process: this executable, started again by the pool with one end of a socket pair as
// descriptor 3. It runs one job at a time and knows nothing but that socket: no broker, no result store.
#pragma once

#include <optional>

namespace celeriac {

class App;

// Every main() that may be a worker calls this once its tasks are registered, before anything a slot must not
// do. Nothing when the process was not started as a slot; otherwise it has served as one until its parent
// let it go, and main() returns the exit code given.
std::optional<int> run_slot_if_asked(const App& app, int argc, char** argv);

// The same for callers that do not have the command line at hand.
std::optional<int> run_slot_if_asked(const App& app);

}  // namespace celeriac
