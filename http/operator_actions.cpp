#include "http/operator_actions.hpp"

#include "protocol/uuid.hpp"
#include "tasks/store/audit.hpp"
#include "tasks/store/text_values.hpp"

namespace celeriac::http {
namespace {

void audit(Database& database, const OperatorAction& action) {
  audit_as(database, {action.actor, action.action + " from a page", "", ""});
}

}  // namespace

std::string begin_action(Database& database, const OperatorAction& action) {
  auto id = uuid4();
  database.transaction([&] {
    audit(database, action);
    database.run(
        "INSERT INTO operator_actions (id, actor, action, target, request_id, detail) VALUES ($1, $2, $3, "
        "$4, "
        "$5, $6)",
        {id, action.actor, action.action, clean_text(action.target, 2000), action.request_id,
         dump_json(action.detail)});
  });
  return id;
}

void end_action(Database& database, const std::string& id, const OperatorAction& action,
                const std::string& error, const Json& detail) {
  Json more = detail;
  if (!error.empty()) more["error"] = clean_text(error, 2000);
  database.transaction([&] {
    audit(database, action);
    database.run(
        "UPDATE operator_actions SET state = $2, detail = detail || $3::jsonb, ended_at = now() WHERE id = "
        "$1",
        {id, error.empty() ? "done" : "failed", dump_json(more)});
  });
}

}  // namespace celeriac::http
