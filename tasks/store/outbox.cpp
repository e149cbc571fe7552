#include "tasks/store/outbox.hpp"

#include "protocol/uuid.hpp"
#include "tasks/store/text_values.hpp"

namespace celeriac {
namespace {

std::vector<ClaimedEffect> claim(Database& database, const std::string& which, std::vector<SqlValue> values) {
  const Rows rows = database.run(
      "UPDATE outbox SET attempts = attempts + 1, claimed_by = $1,"
      " available_at = now() + make_interval(secs => $2::double precision) WHERE id IN (SELECT id FROM outbox"
      " WHERE state = 'waiting' AND available_at <= now() AND " +
          which + " FOR UPDATE SKIP LOCKED) RETURNING id, kind, target, payload, attempts",
      values);
  std::vector<ClaimedEffect> out;
  for (int row = 0; row < rows.size(); ++row) {
    auto payload = parse_json(rows.text(row, 3));
    if (!payload) throw DatabaseError(SqlFailure::data, "", "outbox.payload: " + payload.error().what);
    out.push_back({rows.str(row, 0), rows.str(row, 1), rows.str(row, 2), std::move(*payload),
                   std::stoi(rows.str(row, 4))});
  }
  return out;
}

}  // namespace

std::string add_effect(Database& database, const Effect& effect) {
  database.run(
      "INSERT INTO outbox (id, effect_key, kind, target, payload) VALUES ($1, $2, $3, $4, $5)"
      " ON CONFLICT (effect_key) DO NOTHING",
      {uuid4(), effect.key, effect.kind, effect.target, dump_json(effect.payload)});
  return database.run("SELECT id FROM outbox WHERE effect_key = $1", {effect.key}).str(0, 0);
}

std::vector<ClaimedEffect> claim_effects(Database& database, const std::string& worker, int limit,
                                         int lease_seconds) {
  return claim(database, "kind = 'task' ORDER BY available_at LIMIT $3",
               {worker, std::to_string(lease_seconds), std::to_string(limit)});
}

std::vector<ClaimedEffect> claim_http_effects(Database& database, const std::string& who, int limit,
                                              int lease_seconds) {
  return claim(database, "kind = 'http' ORDER BY available_at LIMIT $3",
               {who, std::to_string(lease_seconds), std::to_string(limit)});
}

std::vector<ClaimedEffect> claim_callbacks(Database& database, const std::string& who, int limit,
                                           int lease_seconds) {
  return claim(database, "kind = 'webhook' ORDER BY available_at LIMIT $3",
               {who, std::to_string(lease_seconds), std::to_string(limit)});
}

std::vector<ClaimedEffect> claim_mails(Database& database, const std::string& who, int limit,
                                       int lease_seconds) {
  return claim(database, "kind = 'mail' ORDER BY available_at LIMIT $3",
               {who, std::to_string(lease_seconds), std::to_string(limit)});
}

std::optional<ClaimedEffect> claim_effect(Database& database, const std::string& worker,
                                          const std::string& id, int lease_seconds) {
  auto claimed = claim(database, "id = $3", {worker, std::to_string(lease_seconds), id});
  if (claimed.empty()) return std::nullopt;
  return std::move(claimed.front());
}

std::vector<Json> due_deliveries(Database& database, int limit, int pause_seconds) {
  const Rows rows = database.run(
      "UPDATE outbox SET available_at = now() + make_interval(secs => $2::double precision) WHERE id IN "
      "(SELECT id"
      " FROM outbox WHERE state = 'waiting' AND kind = 'delivery' AND available_at <= now() ORDER BY "
      "available_at"
      " LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING payload",
      {std::to_string(limit), std::to_string(pause_seconds)});
  std::vector<Json> out;
  for (int row = 0; row < rows.size(); ++row)
    if (auto payload = parse_json(rows.text(row, 0))) out.push_back(std::move(*payload));
  return out;
}

void postpone_effect(Database& database, const std::string& id, std::string_view error) {
  database.run(
      "UPDATE outbox SET attempts = attempts - 1, claimed_by = NULL, last_error = nullif($2, ''),"
      " available_at = now() + make_interval(secs => greatest(1, least(60, extract(epoch FROM now() - "
      "created_at)"
      " / 10))::double precision) WHERE id = $1 AND state = 'waiting'",
      {id, clean_text(error, 2000)});
}

void effect_sent(Database& database, const std::string& id) {
  database.run(
      "UPDATE outbox SET state = 'sent', sent_at = now(), last_error = NULL WHERE id = $1 AND state <> "
      "'sent'",
      {id});
}

void effect_failed(Database& database, const std::string& id, std::string_view error, bool final) {
  database.run(
      "UPDATE outbox SET last_error = $2, state = CASE WHEN $3 OR attempts >= max_attempts THEN 'failed' "
      "ELSE 'waiting' END,"
      " available_at = now() + make_interval(secs => least(3600, power(2, least(attempts, 12)))) WHERE id = "
      "$1"
      " AND state = 'waiting'",
      {id, clean_text(error, 2000), final ? "true" : "false"});
}

}  // namespace celeriac
