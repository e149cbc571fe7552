// maintenance.*: the tasks of maintenance.hpp, and the schedule they are made for.
#pragma once

#include "tasks/maintenance/report_mail.hpp"
#include "worker/app.hpp"

#include <string>

namespace celeriac {

struct MaintenanceConfig {
  std::string database_url, storage_root;
  MailConfig mail = {};
};
void register_maintenance(App& app, const MaintenanceConfig& config);

}  // namespace celeriac
