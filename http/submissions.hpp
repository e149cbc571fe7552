// Tasks accepted over HTTP. Accepting is one transaction: the row of the outbox and, with an idempotency
// key, the answer that a repetition gets. The broker comes afterwards, so what was answered
// with 202 is sent even when this process dies in between: any process's relay finds the row.
#pragma once

#include "protocol/json.hpp"
#include "protocol/message.hpp"
#include "tasks/store/database.hpp"

#include <optional>
#include <string>
#include <vector>

namespace celeriac::http {

// What reads an uploaded document.
constexpr const char* process_document_task = "invoice_processing.process_document";

struct Submission {
  std::string id, task, queue;  // id: a UUID, the task's
  std::string user_id;          // whose it is
  Json args = Json::array(), kwargs = Json::object();
  std::optional<double> eta, expires;  // Unix seconds
  std::optional<int> priority;
  std::string traceparent;
  double unique_for = 0;      // seconds in which no other of the same unique_key is accepted; 0: any number
  std::string unique_key;     // the task's name and what is to be unique; hashed
  std::string callback_url;   // told when the task has ended (callbacks.hpp); empty: nobody
  bool return_first = false;  // instead of refusing: answer with the one that was first
};

struct Accepted {
  enum class Kind { fresh, replayed, key_reused, not_unique } kind = Kind::fresh;
  Json answer;  // what the caller is told: the first one's when replayed or not unique
};

// A row's claim ends after this, and any process sends it.
inline constexpr int lease_seconds = 60;

// `key` empty: none. `digest` is the SHA-256 of the request. All of `submissions` or none; one that is to be
// unique comes alone. `sender`, unless empty, has claimed the new rows already: it sends them itself.
Accepted accept(Database& database, const std::vector<Submission>& submissions, const std::string& key,
                const std::string& digest, const Json& answer, const std::string& sender);

// The row of the outbox alone, in the caller's transaction.
void enqueue(Database& database, const Submission& submission, const std::string& sender = {});
// As it stands in the outbox.
Json payload_of(const Submission& submission);

// What the outbox knows of a task.
struct Known {
  bool found = false, sent = false;
  std::string user_id, task, queue, last_error, created;
  double due_for = 0;  // seconds since it was sent, or since its ETA; 0: not yet
};
Known known_task(Database& database, const std::string& id);

// What waits to be sent is claimed with claim_http_effects(), then told from here. It is never given up.
void mark_sent(Database& database, const std::vector<std::string>& ids);
void mark_failed(Database& database, const std::string& id, const std::string& why);  // it is tried again

// The message of a payload.
Expected<Message> message_of(const Json& payload);

}  // namespace celeriac::http
