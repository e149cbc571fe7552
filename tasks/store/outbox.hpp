// Effects outside of the database (a task, a webhook, a delivery) that happen although the process dies
// between deciding and doing: decided in the transaction, done from the table.
//
// An effect is carried out at least once; its id is the same each time and travels with it (as the task's
// id, as the Idempotency-Key of a request), so that at the other end it counts once.
#pragma once

#include "protocol/json.hpp"
#include "tasks/store/database.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace celeriac {

struct Effect {
  std::string key;                // names it: the same key again is the same effect
  std::string kind;               // "task", "webhook", "mail", "delivery"; "http": http/submissions.hpp
  std::string target;             // a task's name, a URL
  Json payload = Json::object();  // of a task: {"args", "kwargs", "queue"}
};

struct ClaimedEffect {
  std::string id, kind, target;
  Json payload;
  int attempts = 0;  // this one included
};

// In the caller's transaction. Returns the effect's id (UUID), an earlier one's when the key is known.
std::string add_effect(Database& database, const Effect& effect);

// Claims tasks that are due, oldest first, for `lease_seconds`: nobody else gets one before they are over.
std::vector<ClaimedEffect> claim_effects(Database& database, const std::string& worker, int limit,
                                         int lease_seconds);
// The same for what was accepted over HTTP.
std::vector<ClaimedEffect> claim_http_effects(Database& database, const std::string& who, int limit,
                                              int lease_seconds);
// The same for those who are to be called back.
std::vector<ClaimedEffect> claim_callbacks(Database& database, const std::string& who, int limit,
                                           int lease_seconds);
// The same for mails.
std::vector<ClaimedEffect> claim_mails(Database& database, const std::string& who, int limit,
                                       int lease_seconds);
// Its time has not come: it is due again after a tenth of its age, a minute at most. No attempt is counted.
// `error` is what an operator is shown; empty when there was none.
void postpone_effect(Database& database, const std::string& id, std::string_view error);
// The same for one; nothing when it is done or another has it.
std::optional<ClaimedEffect> claim_effect(Database& database, const std::string& worker,
                                          const std::string& id, int lease_seconds);

// The payloads of deliveries that are due; they are not due again before `pause_seconds` are over.
std::vector<Json> due_deliveries(Database& database, int limit, int pause_seconds);

void effect_sent(Database& database, const std::string& id);
// Due again after 2^attempts seconds (at most an hour); "failed" for good after max_attempts, or at once when
// the failure is final.
void effect_failed(Database& database, const std::string& id, std::string_view error, bool final);

}  // namespace celeriac
