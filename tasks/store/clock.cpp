#include "tasks/store/clock.hpp"

namespace celeriac {

std::string naive_now(Database& database) {
  return database.run("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US')").str(0, 0);
}

}  // namespace celeriac
