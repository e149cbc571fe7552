#include "tasks/validation/approvals.hpp"

#include "protocol/uuid.hpp"
#include "tasks/store/slot_database.hpp"
#include "tasks/store/text_values.hpp"

#include <algorithm>

namespace celeriac {
namespace {

struct Request {
  std::string id, workflow_id, entity_type, entity_id, status;
  int step = 1;
};

Request lock_request(Database& database, const std::string& id) {
  const Rows row = database.run(
      "SELECT workflow_id, entity_type, entity_id, status, current_step, expires_at < now() FROM "
      "approval_requests"
      " WHERE id = $1 FOR UPDATE",
      {id});
  if (row.empty()) throw invoice_error("ApprovalNotFound", "there is no approval request " + id);
  Request request{id, row.str(0, 0), row.str(0, 1), row.str(0, 2), row.str(0, 3), std::stoi(row.str(0, 4))};
  if (row.truth(0, 5) && (request.status == "PENDING" || request.status == "IN_REVIEW"))
    request.status = "EXPIRED";
  return request;
}

// A step is for those who were assigned to it, else for those who bear its role; of a role that nobody bears
// nothing is known.
void require_approver(Database& database, const Request& request, const std::string& by) {
  const Rows row = database.run(
      "SELECT s.approval_role, count(a.id) > 0, bool_or($4 IN (a.user_id::text, u.email, u.username)) FROM "
      "approval_steps s LEFT JOIN (SELECT id, user_id, step_id FROM approver_assignments WHERE request_id = "
      "$1)"
      " a ON a.step_id = s.id LEFT JOIN users u ON u.id = a.user_id"
      " WHERE s.workflow_id = $2 AND s.step_number = $3 GROUP BY s.id",
      {request.id, request.workflow_id, std::to_string(request.step), by});
  if (row.empty()) return;
  const std::string role = row.str(0, 0);
  if (row.truth(0, 1)) {
    if (row.truth(0, 2)) return;
    throw invoice_error("NotAnApprover", by + " is not assigned to this step");
  }
  const Rows bearers = database.run(
      "SELECT bool_or($2 IN (u.id::text, u.email, u.username)) FROM approver_roles r JOIN users u ON u.id = "
      "r.user_id WHERE r.role = $1 HAVING count(*) > 0",
      {role, by});
  if (!bearers.empty() && !bearers.truth(0, 0))
    throw invoice_error("NotAnApprover", by + " does not bear the role " + role);
}

void set_status(Database& database, const Request& request, const std::string& status, int step) {
  database.run(
      "UPDATE approval_requests SET status = $2::approvalstatus, current_step = $3, updated_at = now(),"
      " completed_at = CASE WHEN $2::approvalstatus IN ('PENDING', 'IN_REVIEW') THEN NULL ELSE now() END "
      "WHERE id = $1",
      {request.id, status, std::to_string(step)});
}

// What an approved or rejected invoice becomes.
void carry_out(Database& database, const Request& request, bool approved, const std::string& by) {
  if (request.entity_type != "invoice") return;
  if (approved) {
    database.run(
        "UPDATE exceptions SET status = 'RESOLVED', resolution_action = 'MANUAL_APPROVAL', resolved_by = $2,"
        " resolved_at = now(), updated_at = now() WHERE invoice_id = $1 AND status IN ('OPEN', "
        "'IN_PROGRESS', 'ESCALATED')",
        {request.entity_id, by});
    database.run(
        "UPDATE invoices SET status = 'READY', workflow_state = 'approved', updated_at = now()"
        " WHERE id = $1 AND status IN ('PARSED', 'VALIDATED', 'EXCEPTION')",
        {request.entity_id});
  } else {
    database.run(
        "UPDATE invoices SET status = 'EXCEPTION', workflow_state = 'rejected', requires_review = true,"
        " updated_at = now() WHERE id = $1 AND status IN ('PARSED', 'VALIDATED', 'READY', 'EXCEPTION')",
        {request.entity_id});
  }
}

void approve(Database& database, const Request& request, const std::string& by) {
  const Rows step = database.run(
      "SELECT s.required_approvers, (SELECT count(*) FROM approval_decisions d WHERE d.request_id = $1"
      " AND d.step_number = $2 AND d.decision = 'APPROVE'), (SELECT min(n.step_number) FROM approval_steps n"
      " WHERE n.workflow_id = s.workflow_id AND n.step_number > s.step_number)"
      " FROM approval_steps s WHERE s.workflow_id = $3 AND s.step_number = $2",
      {request.id, std::to_string(request.step), request.workflow_id});
  const bool enough = step.empty() || std::stoi(step.str(0, 1)) >= std::stoi(step.str(0, 0));
  if (!enough) return set_status(database, request, "IN_REVIEW", request.step);
  if (!step.empty() && !step.is_null(0, 2))
    return set_status(database, request, "IN_REVIEW", std::stoi(step.str(0, 2)));
  set_status(database, request, "APPROVED", request.step);
  carry_out(database, request, true, by);
}

}  // namespace

void ask_approval(Database& database, std::string_view workflow_type, std::string_view entity_type,
                  const std::string& entity_id, const std::string& title, const Json& context) {
  database.run(
      "INSERT INTO approval_requests (id, workflow_id, entity_type, entity_id, title, requested_by, "
      "context_data,"
      " current_step, expires_at) SELECT $1, w.id, $2, $3, $4, 'system', $5,"
      " coalesce((SELECT min(step_number) FROM approval_steps s WHERE s.workflow_id = w.id), 1),"
      " now() + make_interval(hours => w.approval_timeout_hours) FROM approval_workflows w"
      " WHERE w.workflow_type = $6::approvalworkflowtype AND w.is_active"
      " ON CONFLICT (workflow_id, entity_type, entity_id) WHERE status IN ('PENDING', 'IN_REVIEW') DO "
      "NOTHING",
      {uuid4(), std::string(entity_type), entity_id, clean_text(title, 255), dump_json(context),
       std::string(workflow_type)});
}

void withdraw_approval(Database& database, std::string_view workflow_type, std::string_view entity_type,
                       const std::string& entity_id) {
  database.run(
      "UPDATE approval_requests r SET status = 'CANCELLED', completed_at = now(), updated_at = now()"
      " FROM approval_workflows w WHERE w.id = r.workflow_id AND w.workflow_type = $1::approvalworkflowtype"
      " AND r.entity_type = $2 AND r.entity_id = $3 AND r.status IN ('PENDING', 'IN_REVIEW')",
      {std::string(workflow_type), std::string(entity_type), entity_id});
}

Json decide_approval(Database& database, const Decision& decision) {
  constexpr std::string_view known[] = {"APPROVE", "REJECT", "REQUEST_CHANGES", "DELEGATE", "ESCALATE"};
  const std::string by = clean_text(decision.decided_by, 255);
  if (std::ranges::find(known, decision.decision) == std::end(known))
    throw TaskError("ValueError", "there is no decision '" + clean_text(decision.decision, 50) + "'");
  if (by.empty()) throw TaskError("ValueError", "decided_by is empty");
  const Request request = lock_request(database, decision.request_id);
  const Rows said = database.run(
      "SELECT decision FROM approval_decisions WHERE request_id = $1 AND decided_by = $2 AND decision = $3"
      " ORDER BY step_number DESC LIMIT 1",
      {request.id, by, decision.decision});
  const bool open = request.status == "PENDING" || request.status == "IN_REVIEW";
  if (said.empty() && !open)
    throw invoice_error("ApprovalClosed", "approval request " + request.id + " is " + request.status);
  // Said before: the message came twice, or one person would speak for two steps.
  if (said.empty()) {
    require_approver(database, request, by);
    database.run(
        "INSERT INTO approval_decisions (id, request_id, step_number, decided_by, decision, comments)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        {uuid4(), request.id, std::to_string(request.step), by, decision.decision,
         text_value(decision.comments, 2000)});
    if (decision.decision == "APPROVE") {
      approve(database, request, by);
    } else if (decision.decision == "REJECT") {
      set_status(database, request, "REJECTED", request.step);
      carry_out(database, request, false, by);
    } else {
      set_status(database, request, "IN_REVIEW", request.step);
    }
  }
  const Rows now = database.run(
      "SELECT status, current_step, (SELECT count(*) FROM approval_decisions d WHERE d.request_id = r.id)"
      " FROM approval_requests r WHERE id = $1",
      {request.id});
  return {{"request_id", request.id},
          {"status", now.str(0, 0)},
          {"current_step", std::stoi(now.str(0, 1))},
          {"decisions", std::stoi(now.str(0, 2))}};
}

int expire_approvals(Database& database) {
  return database
      .run(
          "UPDATE approval_requests SET status = 'EXPIRED', completed_at = now(), updated_at = now()"
          " WHERE status IN ('PENDING', 'IN_REVIEW') AND expires_at < now()")
      .affected();
}

}  // namespace celeriac
