// Results as files of one folder, Celery's filesystem backend (docs/results.md).
#pragma once

#include "config/settings.hpp"
#include "queues/blocking/blocking_store.hpp"

#include <memory>
#include <string_view>

namespace celeriac {

// file:///absolute/folder or file://localhost/absolute/folder; the rest is taken to the letter, as Celery
// does. The folder must exist.
Expected<std::unique_ptr<BlockingStore>> make_file_store(const Settings& settings, std::string_view url);

}  // namespace celeriac
