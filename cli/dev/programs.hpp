// Finds the servers' programs, and the user PostgreSQL can run as.
#pragma once

#include "protocol/error.hpp"

#include <sys/types.h>
#include <optional>
#include <string>
#include <utility>

namespace celeriac::dev {

// The Error names the package that has it.
Expected<std::string> find_redis_server();

// The folder of `postgres` and `initdb`. `major` is the version that made the data ("15"); empty: the newest.
Expected<std::string> find_postgres_programs(const std::string& major);

// PostgreSQL refuses to run as root: then the system user `postgres`. Nullopt: as ourselves.
Expected<std::optional<std::pair<uid_t, gid_t>>> postgres_user();

}  // namespace celeriac::dev
