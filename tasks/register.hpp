// Everything the invoice application's workers can do.
#pragma once

#include "config/settings.hpp"
#include "worker/app.hpp"

namespace celeriac {

// Registers every task of the application. Slots run the same main() with the same settings,
// which is how settings.database_url and storage_root reach the bodies; each slot connects on
// its first task.
void register_all(App& app, const Settings& settings);

}  // namespace celeriac
