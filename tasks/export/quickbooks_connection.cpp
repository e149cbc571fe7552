#include "tasks/export/quickbooks_connection.hpp"

#include "tasks/engines/http.hpp"
#include "tasks/export/invalid.hpp"
#include "tasks/store/slot_database.hpp"
#include "tasks/store/text_values.hpp"

#include <chrono>

namespace celeriac {
namespace {

// Shorter than a statement may wait for the row's lock.
constexpr std::chrono::seconds most_renewal_time{20};

TaskError not_connected(const std::string& why) { return invoice_error("QuickBooksNotConnected", why); }

ExportEndpoint oauth_endpoint(const ExportEndpoints& endpoints) {
  const auto named = endpoints.find("quickbooks_oauth");
  if (named == endpoints.end())
    throw not_connected("the token has ended, and export_endpoints has no 'quickbooks_oauth' to renew it");
  auto endpoint = read_endpoint(named->second);
  if (!endpoint) invalid_export("export_endpoints.quickbooks_oauth: " + endpoint.error().what);
  return std::move(*endpoint);
}

// Takes the tokens of the row, and locks it. True when they are not those that were to be replaced.
bool renewed_by_another(Database& database, QuickBooksConnection& connection) {
  const Rows row = database.run(
      "SELECT status, coalesce(access_token, ''), coalesce(refresh_token, ''), access_token IS NULL OR "
      "coalesce(token_expires_at < now() + interval '1 minute', true) FROM quickbooks_connections WHERE id = "
      "$1 "
      "FOR NO KEY UPDATE",
      {connection.id});
  if (row.empty() || row.str(0, 0) != "CONNECTED")
    throw not_connected("the company was disconnected meanwhile; it must be connected again");
  const bool other = row.str(0, 1) != connection.token;
  connection.token = row.str(0, 1), connection.refresh_token = row.str(0, 2);
  connection.ended = row.truth(0, 3);
  return other && !connection.ended;
}

Json ask_for_tokens(Context& context, const ExportEndpoint& endpoint, const std::string& refresh_token,
                    int& status) {
  HttpRequest request;
  request.method = "POST";
  request.url = endpoint.url;
  request.user = endpoint.user, request.password = endpoint.password;
  request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}, {"Accept", "application/json"}};
  request.body = "grant_type=refresh_token&refresh_token=" + url_encode(refresh_token);
  request.max_body = 64 << 10;
  request.deadline = most_renewal_time;
  const HttpResult answer = http_fetch(std::move(request), [&] { return context.soft_limit_exceeded(); });
  if (!answer) throw invoice_error("QuickBooksUnavailable", answer.error().message);
  status = answer->status;
  auto body = parse_json(answer->body);
  return body && body->is_object() ? std::move(*body) : Json::object();
}

std::string text_of_answer(const Json& body, const char* name) {
  const auto found = body.find(name);
  return found != body.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// Empty, or why the connection has ended; that is in the row, which the caller commits.
std::string replace_tokens(Context& context, Database& database, const ExportEndpoint& endpoint,
                           QuickBooksConnection& connection) {
  int status = 0;
  const Json body = ask_for_tokens(context, endpoint, connection.refresh_token, status);
  const std::string error = text_of_answer(body, "error"), token = text_of_answer(body, "access_token");
  const std::string shown = shown_url(endpoint.url) + " answered " + std::to_string(status);
  if (status == 400 && error == "invalid_grant") {
    const std::string why = "the refresh token is not accepted: " + std::to_string(status) + " " + error;
    database.run(
        "UPDATE quickbooks_connections SET status = 'EXPIRED', error_message = $2, updated_at = now() WHERE "
        "id = $1",
        {connection.id, why});
    return why;
  }
  if (status >= 500 || status == 429) throw invoice_error("QuickBooksUnavailable", shown);
  if (status != 200)
    throw invoice_error("QuickBooksRefused", shown + (error.empty() ? "" : ": " + clean_text(error, 100)));
  if (token.empty()) throw invoice_error("QuickBooksUnavailable", shown + " without a token");
  const auto seconds = body.find("expires_in");
  const bool timed = seconds != body.end() && seconds->is_number();
  connection.token = token;
  // Intuit gives a new refresh token now and then; the old one ends.
  if (const auto next = text_of_answer(body, "refresh_token"); !next.empty()) connection.refresh_token = next;
  connection.ended = false;
  database.run(
      "UPDATE quickbooks_connections SET access_token = $2, refresh_token = $3, token_expires_at = now() + "
      "make_interval(secs => $4::double precision), error_message = NULL, updated_at = now() WHERE id = $1",
      {connection.id, connection.token, connection.refresh_token,
       timed ? dump_json(*seconds) : std::string("3600")});
  return {};
}

}  // namespace

QuickBooksConnection find_connection(Database& database, const ExportEndpoints& endpoints,
                                     const std::string& user_id, const std::string& connection_id) {
  if (!connection_id.empty() && !is_uuid(connection_id)) throw BadArguments("connection_id is not a UUID");
  const Rows row = database.run(
      "SELECT id, realm_id, environment, coalesce(access_token, ''), refresh_token, "
      "coalesce(expense_account, "
      "''), access_token IS NULL OR coalesce(token_expires_at < now() + interval '1 minute', true) FROM "
      "quickbooks_connections WHERE status = 'CONNECTED' AND user_id = $1 AND ($2::uuid IS NULL OR id = $2) "
      "ORDER BY created_at DESC LIMIT 1",
      {user_id, connection_id.empty() ? SqlValue() : SqlValue(connection_id)});
  if (row.empty()) throw not_connected("this user has no connected company: quickbooks_connections");
  QuickBooksConnection out{row.str(0, 0), row.str(0, 1),  "", row.str(0, 3), row.str(0, 4),
                           row.str(0, 5), row.truth(0, 6)};
  out.api = row.str(0, 2) == "production" ? "https://quickbooks.api.intuit.com"
                                          : "https://sandbox-quickbooks.api.intuit.com";
  if (const auto other = endpoints.find("quickbooks"); other != endpoints.end()) {
    const auto endpoint = read_endpoint(other->second);
    if (!endpoint) invalid_export("export_endpoints.quickbooks: " + endpoint.error().what);
    out.api = endpoint->url;
  }
  while (out.api.ends_with('/')) out.api.pop_back();
  return out;
}

void renew_tokens(Context& context, Database& database, const ExportEndpoints& endpoints,
                  QuickBooksConnection& connection) {
  const ExportEndpoint endpoint = oauth_endpoint(endpoints);
  const std::string ended = database.transaction([&]() -> std::string {
    if (renewed_by_another(database, connection)) return {};
    return replace_tokens(context, database, endpoint, connection);
  });
  if (!ended.empty()) throw not_connected(ended + "; the company must be connected again");
}

}  // namespace celeriac
