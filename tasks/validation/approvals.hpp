// Who has to agree, step by step: requests, decisions, what they lead to.
#pragma once

#include "protocol/json.hpp"
#include "tasks/store/database.hpp"

#include <string>
#include <string_view>

namespace celeriac {

// Opens a request of the active workflow of that type, unless one is open for the same thing. Without an
// active workflow nobody is asked.
void ask_approval(Database& database, std::string_view workflow_type, std::string_view entity_type,
                  const std::string& entity_id, const std::string& title, const Json& context);

// Cancels an open request: there is nothing left to decide.
void withdraw_approval(Database& database, std::string_view workflow_type, std::string_view entity_type,
                       const std::string& entity_id);

struct Decision {
  std::string request_id, decision, decided_by, comments;  // decision: APPROVE, REJECT, REQUEST_CHANGES, ...
};

// In an open transaction. Enough approvals of the last step approve the request (an invoice's: it becomes
// READY, its open exceptions are resolved), one REJECT rejects it. The same voice again changes nothing.
// Who decides is a user's id, e-mail address or name. Where users are assigned to the step, or bear its role
// (approver_roles), only they may. Returns {"request_id", "status", "current_step", "decisions"}. Throws
// TaskError ApprovalNotFound, ApprovalClosed, NotAnApprover, ValueError.
Json decide_approval(Database& database, const Decision& decision);

// Requests past their time become EXPIRED; returns how many.
int expire_approvals(Database& database);

}  // namespace celeriac
