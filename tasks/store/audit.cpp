#include "tasks/store/audit.hpp"

namespace celeriac {

void audit_as(Database& database, const AuditAuthor& author) {
  database.run(
      "SELECT set_config('celeriac.actor', $1, true), set_config('celeriac.reason', $2, true),"
      " set_config('celeriac.task_id', $3, true), set_config('celeriac.user_id', $4, true),"
      " set_config('celeriac.by_person', $5, true)",
      {author.actor, author.reason, author.task_id, author.user_id, author.person ? "yes" : "no"});
}

}  // namespace celeriac
