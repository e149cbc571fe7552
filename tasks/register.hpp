// Everything the invoice application's workers can do.
#pragma once

#include "config/settings.hpp"
#include "worker/app.hpp"

#include <string>

namespace celeriac {

// Registers every task of the application. Slots run the same main() with the same settings,
// which is how settings.database_url and storage_root reach the bodies; each slot connects on
// its first task.
void register_all(App& app, const Settings& settings);

// What a worker cannot start with, for the operator; empty: nothing. Bodies that need what is
// wrong fail as ImproperlyConfigured.
std::string application_fault(const Settings& settings);

}  // namespace celeriac
