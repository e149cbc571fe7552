// What people do to queues and tasks from the pages, kept in the database: who, what, when, and how it ended.
// The row is there before anything is done; audit_log gets its own in the same transaction.
#pragma once

#include "http/exchange.hpp"
#include "tasks/store/database.hpp"

#include <string>

namespace celeriac::http {

struct OperatorAction {
  std::string actor, action, target, request_id;
  Json detail = Json::object();
};

// Returns the row's id.
std::string begin_action(Database& database, const OperatorAction& action);
// `error` empty: it was done. `detail` is added to what the row says.
void end_action(Database& database, const std::string& id, const OperatorAction& action,
                const std::string& error, const Json& detail);

}  // namespace celeriac::http
