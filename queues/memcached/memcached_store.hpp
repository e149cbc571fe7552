// Results in memcached, under the keys of Celery's cache backend (docs/results.md).
#pragma once

#include "config/settings.hpp"
#include "queues/blocking/blocking_store.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace celeriac {

// cache+memcached://host:port;host:port/ as Celery has it, also memcached:// and cache+pylibmc://. A server
// may be /path/to/a/socket. Several share the keys as pylibmc, which Celery prefers, shares them.
Expected<std::unique_ptr<BlockingStore>> make_memcached_store(const Settings& settings, std::string_view url);

}  // namespace celeriac
