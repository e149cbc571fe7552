// /api/v1/exceptions and /api/v1/approvals: what people have to look at and to decide; /api/v1/audit-log.
#include "http/front.hpp"
#include "http/rows.hpp"
#include "tasks/validation/approvals.hpp"
#include "tasks/validation/exceptions.hpp"
#include "worker/errors.hpp"

namespace celeriac::http {
namespace {

// A page of `sql`, which yields (doc jsonb, at timestamptz); $1 is the caller, $2 the status or ''.
Response page_of(Database& database, const Request& request, const char* name, const std::string& sql) {
  auto query = request.query_values();
  const int page = number(query, "page", 1, 1000000), per_page = number(query, "per_page", 50, 100);
  const auto rows = database.run(
      "SELECT jsonb_build_object('" + std::string(name) +
          "', coalesce(jsonb_agg(doc ORDER BY at DESC), '[]'), 'pagination', jsonb_build_object('page', "
          "$5::int, 'per_page', $3::int)) FROM (" +
          sql + " ORDER BY at DESC LIMIT $3::int OFFSET $4::bigint) AS chosen",
      {request.caller.user_id, query["status"], std::to_string(per_page),
       std::to_string(static_cast<long>(page - 1) * per_page), std::to_string(page)});
  return as_it_is(rows.str(0, 0));
}

// What the application's own code says of a request it refuses.
Response refused(const TaskError& error) {
  const auto& type = error.info().type;
  if (type.ends_with("NotFound")) return problem(404, "unknown-id", error.what());
  if (type == "ValueError" || type == "BadArguments") return problem(422, "body-does-not-fit", error.what());
  if (type == "NotAnApprover") return problem(403, "not-allowed", error.what());
  return problem(409, "refused", error.what());
}

Response resolve(Database& database, const Request& request) {
  const auto body = json_body(request);
  if (!body) return body.error();
  const auto text = [&](const char* name) {
    const auto found = body->find(name);
    return found != body->end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  Resolution resolution;
  resolution.exception_id = request.params.at("id");
  resolution.action = text("action");
  resolution.notes = text("notes");
  resolution.resolved_by = request.caller.user_id;
  resolution.data = body->value("data", Json::object());
  resolution.approve_invoice = body->value("approve_invoice", Json(false)) == Json(true);
  if (resolution.action.empty() || !resolution.data.is_object())
    return problem(422, "body-does-not-fit", "action must be a word, data an object");
  const auto mine =
      database.run("SELECT FROM exceptions e JOIN invoices i ON i.id = e.invoice_id WHERE " +
                       owned_by(request.caller, "i.uploaded_by_user_id") + " AND e.id = $2::uuid",
                   {request.caller.user_id, resolution.exception_id});
  if (mine.empty()) return problem(404, "unknown-id", "There is no such exception");
  try {
    return json(200, database.transaction([&] { return resolve_exception(database, resolution); }));
  } catch (const TaskError& error) {
    return refused(error);
  }
}

Response decide(Database& database, const Request& request) {
  const auto body = json_body(request);
  if (!body) return body.error();
  const auto text = [&](const char* name) {
    const auto found = body->find(name);
    return found != body->end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  const Decision decision{request.params.at("id"), text("decision"), request.caller.user_id,
                          text("comments")};
  try {
    return json(200, database.transaction([&] { return decide_approval(database, decision); }));
  } catch (const TaskError& error) {
    return refused(error);
  }
}

}  // namespace

void Front::add_review_routes() {
  add_query(
      "GET", "/api/v1/exceptions", Access::user, "Exceptions of the caller's invoices, the newest first",
      [](Database& database, const Request& request) {
        return page_of(database, request, "exceptions",
                       "SELECT to_jsonb(e) AS doc, e.created_at AS at FROM exceptions e JOIN invoices i ON "
                       "i.id = e.invoice_id WHERE " +
                           owned_by(request.caller, "i.uploaded_by_user_id") +
                           " AND ($2 = '' OR e.status::text = upper($2))");
      });
  add_query("GET", "/api/v1/exceptions/{id}", Access::user, "An exception",
            [](Database& database, const Request& request) {
              return one_row(
                  database.run("SELECT to_jsonb(e) FROM exceptions e JOIN invoices i ON i.id = "
                               "e.invoice_id WHERE " +
                                   owned_by(request.caller, "i.uploaded_by_user_id") + " AND e.id = $2::uuid",
                               {request.caller.user_id, request.params.at("id")}),
                  "exception");
            });
  add_query("POST", "/api/v1/exceptions/{id}/resolve", Access::user,
            "Resolve an exception: {action, notes, data, approve_invoice}", resolve);
  add_query("GET", "/api/v1/approvals", Access::admin, "Requests for approval, the newest first",
            [](Database& database, const Request& request) {
              return page_of(
                  database, request, "approvals",
                  "SELECT to_jsonb(r) AS doc, r.created_at AS at FROM approval_requests r WHERE $1::text IS "
                  "NOT NULL AND ($2 = '' OR r.status::text = upper($2))");
            });
  add_query("POST", "/api/v1/approvals/{id}/decide", Access::admin,
            "Decide: {decision: APPROVE, ..., comments}", decide);
  add_query("GET", "/api/v1/audit-log", Access::admin, "Who changed what, the newest first",
            [](Database& database, const Request& request) {
              return page_of(
                  database, request, "logs",
                  "SELECT to_jsonb(a) AS doc, a.created_at AS at FROM audit_log a WHERE $1::text IS NOT "
                  "NULL AND ($2 = '' OR a.action = upper($2))");
            });
}

}  // namespace celeriac::http
