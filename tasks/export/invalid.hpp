// What every part of an export that cannot be done as it was asked for ends with.
#pragma once

#include "tasks/store/slot_database.hpp"

#include <string>

namespace celeriac {

[[noreturn]] inline void invalid_export(const std::string& why) { throw invoice_error("InvalidExport", why); }

}  // namespace celeriac
