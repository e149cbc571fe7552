// A task body's way to PostgreSQL: one connection per slot (per thread in the threads pool),
// opened by the first task that asks and kept.
#pragma once

#include "tasks/store/database.hpp"
#include "worker/errors.hpp"

#include <string>

namespace celeriac {

// This thread's connection; another URL than last time closes the old one.
Database& slot_database(const std::string& url);

// The same failure as a task reports it: type "OperationalError", "IntegrityError", ...
TaskError task_error(const DatabaseError& error);

// body(Database&) on this thread's connection; its DatabaseError leaves as task_error().
template <class Body>
auto with_database(const std::string& url, Body body) try {
  return body(slot_database(url));
} catch (const DatabaseError& error) {
  throw task_error(error);
}

// An exception type of this application, as clients see it.
TaskError invoice_error(std::string type, const std::string& message);

// Eight-four-four-four-twelve hexadecimal digits.
bool is_uuid(std::string_view text);

}  // namespace celeriac
