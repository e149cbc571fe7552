// maintenance.*: the tasks of maintenance.hpp, and the schedule they are made for.
#pragma once

#include "worker/app.hpp"

#include <string>

namespace celeriac {

struct MaintenanceConfig {
  std::string database_url, storage_root;
};
void register_maintenance(App& app, const MaintenanceConfig& config);

}  // namespace celeriac
