// Results in an SQLite file, in Celery's own tables (docs/results.md).
#pragma once

#include "config/settings.hpp"
#include "queues/blocking/blocking_store.hpp"

#include <memory>

namespace celeriac {

// db+sqlite:///relative/path or db+sqlite:////absolute/path, as SQLAlchemy reads them. A file in memory
// is refused: nobody else could read it.
Expected<std::unique_ptr<BlockingStore>> make_sqlite_store(const Settings& settings, const Url& url);

}  // namespace celeriac
