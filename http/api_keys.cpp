#include "http/api_keys.hpp"

#include "http/authenticator.hpp"
#include "protocol/uuid.hpp"

#include <openssl/rand.h>
#include <array>
#include <stdexcept>

namespace celeriac::http {
namespace {

constexpr std::size_t prefix_length = 11;  // "ck_" and 8 digits

std::string random_key() {
  std::array<unsigned char, 32> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1)
    throw std::runtime_error("the system gives no random numbers");
  std::string out = "ck_";
  for (const unsigned char byte : bytes) {
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}

}  // namespace

Caller find_api_key(Database& database, const std::string& key, const std::string& remote) {
  // By digest: how long the look-up takes says nothing about the key.
  const auto rows = database.run(
      "SELECT u.id, u.role, k.permissions, k.rate_limit, k.id, coalesce(k.last_used_at < now() - interval '1 "
      "minute', true) "
      "FROM api_keys k JOIN users u ON u.id = k.user_id WHERE k.key_hash = $1 AND k.is_active AND "
      "u.is_active AND "
      "u.deleted_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now()) AND (k.allowed_ips IS NULL OR "
      "$2::inet <<= ANY (k.allowed_ips::inet[]))",
      {sha256_hex(key), remote});
  Caller caller;
  if (rows.empty()) return caller;
  caller.user_id = rows.str(0, 0);
  caller.role = rows.text(0, 1) == "admin" ? "admin" : "user";
  if (auto names = parse_json(rows.text(0, 2)); names && names->is_array())
    for (const auto& name : *names)
      if (name.is_string()) caller.tasks.push_back(name.get<std::string>());
  caller.rate_limit = std::stoi(rows.str(0, 3));
  caller.key_id = rows.str(0, 4);
  // To the minute: a busy key is no busy row.
  if (rows.truth(0, 5))
    database.run("UPDATE api_keys SET last_used_at = now() WHERE id = $1", {caller.key_id});
  return caller;
}

MadeApiKey make_api_key(Database& database, const NewApiKey& wanted) {
  MadeApiKey made;
  made.id = uuid4();
  made.key = random_key();
  Json tasks = Json::array();
  for (const auto& name : wanted.tasks) tasks.push_back(name);
  std::string addresses;
  for (const auto& address : wanted.addresses) addresses += (addresses.empty() ? "" : ",") + address;
  return database.transaction([&] {
    database.run("INSERT INTO users (id, email, role) VALUES ($1, $2, $3) ON CONFLICT (email) DO NOTHING",
                 {uuid4(), wanted.email, wanted.role});
    const auto user = database.run("SELECT id, role FROM users WHERE email = $1", {wanted.email});
    made.user_id = user.str(0, 0);
    made.role_differs = user.text(0, 1) != wanted.role;
    if (made.role_differs) return made;
    database.run(
        "INSERT INTO api_keys (id, user_id, name, key_prefix, key_hash, permissions, rate_limit, expires_at, "
        "allowed_ips) VALUES ($1, $2, $3, $4, $5, $6, $7, $8::timestamptz, "
        "(SELECT array_agg(address::inet::text) FROM unnest(string_to_array(nullif($9, ''), ',')) AS "
        "address))",
        {made.id, made.user_id, wanted.name, made.key.substr(0, prefix_length), sha256_hex(made.key),
         dump_json(tasks), std::to_string(wanted.rate_limit),
         wanted.expires.empty() ? SqlValue() : SqlValue(wanted.expires), addresses});
    return made;
  });
}

std::vector<ApiKeyRow> list_api_keys(Database& database) {
  const auto time = [](const std::string& column) {
    return "to_char(" + column + " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')";
  };
  const auto rows = database.run(
      "SELECT k.id, k.name, k.key_prefix, coalesce(u.email, u.id::text), u.role, k.permissions, " +
      time("k.created_at") + ", " + time("k.expires_at") + ", " + time("k.last_used_at") +
      ", k.is_active AND (k.expires_at IS NULL OR k.expires_at > now()) FROM api_keys k JOIN users u ON u.id "
      "= "
      "k.user_id ORDER BY k.created_at");
  std::vector<ApiKeyRow> out;
  for (int i = 0; i < rows.size(); ++i)
    out.push_back({rows.str(i, 0), rows.str(i, 1), rows.str(i, 2), rows.str(i, 3), rows.str(i, 4),
                   rows.str(i, 5), rows.str(i, 6), rows.str(i, 7), rows.str(i, 8), rows.truth(i, 9)});
  return out;
}

int revoke_api_key(Database& database, const std::string& which) {
  return database
      .run(
          "UPDATE api_keys SET is_active = false WHERE is_active AND (id::text = lower($1) OR key_prefix = "
          "$1)",
          {which})
      .affected();
}

}  // namespace celeriac::http
