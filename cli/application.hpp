// The tasks this executable knows: the invoice application, or none when it is built without it.
#pragma once

#include "worker/app.hpp"

#include <set>
#include <string>

namespace celeriac {

struct Settings;

// `settings` reaches the bodies (database_url, storage_root).
App application(const Settings& settings);

// Why a worker cannot start with these settings; empty: it can.
std::string fault_of_application(const Settings& settings);

// In a prefork slot the settings come from file and environment alone: the worker calls this, and slots
// inherit it.
void export_to_slots(const Settings& settings);

// Queues that the tasks and settings name; what `queues` and `purge` look at unless told otherwise.
std::set<std::string> known_queues(const App& app, const Settings& settings);

}  // namespace celeriac
