// API keys: made once, shown once, known to the database by their SHA-256 alone.
#pragma once

#include "http/exchange.hpp"
#include "tasks/store/database.hpp"

#include <optional>
#include <string>
#include <vector>

namespace celeriac::http {

// Nobody when no such key is active, or may not be used from the address `remote`.
Caller find_api_key(Database& database, const std::string& key, const std::string& remote);

struct NewApiKey {
  std::string name, email;             // email: of the user it belongs to, who is made when there is none
  std::string role = "user";           // of a user who is made: "user" or "admin"
  std::vector<std::string> tasks;      // names it may send; "*": any
  std::string expires;                 // ISO 8601; empty: never
  int rate_limit = 1000;               // requests an hour
  std::vector<std::string> addresses;  // from which it may be used, 10.0.0.0/8; empty: any
};
struct MadeApiKey {
  std::string id, key, user_id;
  bool role_differs = false;  // the user was there already, with another role; nothing was made
};
// Throws DatabaseError, also for an address or time that is none.
MadeApiKey make_api_key(Database& database, const NewApiKey& wanted);

struct ApiKeyRow {
  std::string id, name, prefix, email, role, tasks, created, expires, last_used;
  bool active = false;
};
std::vector<ApiKeyRow> list_api_keys(Database& database);
// By id or prefix: how many keys are no longer active now.
int revoke_api_key(Database& database, const std::string& which);

}  // namespace celeriac::http
