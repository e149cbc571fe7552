// Who changes rows, and why. The tables themselves write audit_log (a trigger, in the change's own
// transaction); this tells them what to write there.
#pragma once

#include "tasks/store/database.hpp"

#include <string>

namespace celeriac {

struct AuditAuthor {
  std::string actor;    // a person or "validation.validate_invoice"; empty: "system"
  std::string reason;   // shown to people
  std::string task_id;  // empty: no task
  std::string user_id;  // UUID of a row in users; empty: none
  bool person =
      false;  // fields that are changed are corrections: no later reading of the document changes them
};

// Holds until the end of the transaction that is open.
void audit_as(Database& database, const AuditAuthor& author);

}  // namespace celeriac
