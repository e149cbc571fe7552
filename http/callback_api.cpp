// /api/v1/callbacks: those who are to be told, and those who could not be; administrators try again.
#include "http/front.hpp"
#include "http/operator_actions.hpp"
#include "http/rows.hpp"

namespace celeriac::http {
namespace {

constexpr const char* shown =
    "jsonb_build_object('id', id, 'task_id', payload->>'task_id', 'url', target, 'state', state, 'attempts', "
    "attempts, 'last_error', last_error, 'created_at', created_at, 'available_at', available_at, 'sent_at', "
    "sent_at)";

Response list(Database& database, const Request& request) {
  auto query = request.query_values();
  const int page = number(query, "page", 1, 1000000), per_page = number(query, "per_page", 20, 100);
  const auto rows = database.run(
      "SELECT jsonb_build_object('callbacks', coalesce(jsonb_agg(doc), '[]'), 'pagination', "
      "jsonb_build_object('page', $2::int, 'per_page', $3::int)) FROM (SELECT " +
          std::string(shown) +
          " AS doc FROM outbox WHERE kind = 'webhook' AND ($1 = '' OR state = $1) ORDER BY created_at DESC "
          "LIMIT "
          "$3::int OFFSET $4::bigint) r",
      {query["status"], std::to_string(page), std::to_string(per_page),
       std::to_string(static_cast<long>(page - 1) * per_page)});
  return as_it_is(rows.str(0, 0));
}

// From the beginning, with all attempts before it.
Response try_again(Database& database, const Request& request) {
  const OperatorAction action{request.caller.user_id, "callback", request.params.at("id"), request.id};
  const auto begun = begin_action(database, action);
  const auto rows = database.run(
      "UPDATE outbox SET state = 'waiting', attempts = 0, available_at = now() WHERE id = $1 AND kind = "
      "'webhook' "
      "AND state = 'failed' RETURNING " +
          std::string(shown),
      {request.params.at("id")});
  end_action(database, begun, action, rows.empty() ? "no failed callback" : "", Json::object());
  if (rows.empty()) return problem(404, "unknown-id", "There is no failed callback of this id");
  auto response = as_it_is(rows.str(0, 0));
  response.status = 202;
  return response;
}

}  // namespace

void Front::add_callback_routes() {
  add_query("GET", "/api/v1/callbacks", Access::admin,
            "Callbacks, the newest first (?status=waiting, sent, failed)", list);
  add_query("POST", "/api/v1/callbacks/{id}/retry", Access::admin, "Send a failed callback once more",
            try_again);
}

}  // namespace celeriac::http
