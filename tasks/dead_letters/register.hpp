// dead_letters.record, .redrive, .auto_redrive, .monitor, .archive.
#pragma once

#include "worker/app.hpp"

#include <string>

namespace celeriac {

void register_dead_letters(App& app, const std::string& database_url);

}  // namespace celeriac
