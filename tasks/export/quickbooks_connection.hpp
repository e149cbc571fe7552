// A company in QuickBooks that somebody gave consent for: a row of quickbooks_connections, and its tokens.
#pragma once

#include "tasks/export/delivery.hpp"
#include "tasks/store/database.hpp"
#include "worker/context.hpp"

#include <string>

namespace celeriac {

struct QuickBooksConnection {
  std::string id, realm;
  std::string api;  // https://host, without a slash at its end
  std::string token, refresh_token;
  std::string account;  // of expenses, there; empty: not known yet
  bool ended = false;   // the token, or within a minute
};

// The user's newest connected company, or the one with this id. Throws TaskError QuickBooksNotConnected,
// InvalidExport (an endpoint that is none), BadArguments.
QuickBooksConnection find_connection(Database& database, const ExportEndpoints& endpoints,
                                     const std::string& user_id, const std::string& connection_id);

// New tokens instead of those in `connection`. Intuit takes a refresh token once, so of all that hold the
// same one only one asks, with the row locked; the others wait for it and take over what it got. A refresh
// token that Intuit does not know ends the connection: it is EXPIRED, with the reason. Not within a
// transaction. Throws TaskError QuickBooksUnavailable (worth another try), QuickBooksRefused (the
// application's id or secret), QuickBooksNotConnected, InvalidExport.
void renew_tokens(Context& context, Database& database, const ExportEndpoints& endpoints,
                  QuickBooksConnection& connection);

}  // namespace celeriac
