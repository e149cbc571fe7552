// The database's clock, which all workers share.
#pragma once

#include "tasks/store/database.hpp"

#include <string>

namespace celeriac {

// "2024-05-31T12:00:00.123456": UTC without saying so, as the clients of the existing systems read it.
std::string naive_now(Database& database);

}  // namespace celeriac
