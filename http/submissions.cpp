#include "http/submissions.hpp"

#include "protocol/body.hpp"
#include "protocol/repr.hpp"
#include "protocol/time.hpp"
#include "protocol/uuid.hpp"

#include <algorithm>

namespace celeriac::http {
namespace {

// Takes the place of its kind; the answer of the one that has it, when there is one.
std::optional<Json> first_of_its_kind(Database& database, const Submission& s, const Json& answer) {
  const auto name = "unique:" + s.unique_key;
  database.run("DELETE FROM idempotency_records WHERE idempotency_key = $1 AND expires_at <= now()", {name});
  const auto mine = database.run(
      "INSERT INTO idempotency_records (id, idempotency_key, operation_type, operation_status, request_hash, "
      "result_data, completed_at, execution_count, expires_at) VALUES ($1, $2, 'TASK', 'COMPLETED', $3, $4, "
      "now(), 1, "
      "now() + make_interval(secs => $5::double precision)) ON CONFLICT (idempotency_key) DO NOTHING",
      {uuid4(), name, s.unique_key, dump_json(answer), std::to_string(s.unique_for)});
  if (mine.affected() > 0) return std::nullopt;
  const auto first =
      database.run("SELECT result_data FROM idempotency_records WHERE idempotency_key = $1", {name});
  if (first.empty())  // it ran out between the two statements
    throw DatabaseError(SqlFailure::operational, "40001", "the unique task's time has just ended");
  auto kept = parse_json(first.text(0, 0));
  if (!kept) throw DatabaseError(SqlFailure::data, "", "idempotency_records: " + kept.error().what);
  return std::move(*kept);
}

}  // namespace

Json payload_of(const Submission& s) {
  Json out = Json::object();
  out["id"] = s.id;
  out["task"] = s.task;
  out["queue"] = s.queue;
  out["user_id"] = s.user_id;
  // As text: jsonb would round numbers that Python keeps.
  out["args"] = dump_json(s.args);
  out["kwargs"] = dump_json(s.kwargs);
  if (s.eta) out["eta"] = format_iso8601(*s.eta);
  if (s.expires) out["expires"] = format_iso8601(*s.expires);
  if (s.priority) out["priority"] = *s.priority;
  if (!s.traceparent.empty()) out["traceparent"] = s.traceparent;
  return out;
}

void enqueue(Database& database, const Submission& submission, const std::string& sender) {
  if (!submission.callback_url.empty())
    database.run(
        "INSERT INTO outbox (id, effect_key, kind, target, payload, available_at) VALUES ($1, $2, 'webhook', "
        "$3, "
        "$4, now() + interval '1 second')",
        {uuid4(), "callback:" + submission.id, submission.callback_url,
         dump_json(Json{{"task_id", submission.id}, {"user_id", submission.user_id}})});
  database.run(
      "INSERT INTO outbox (id, effect_key, kind, target, payload, attempts, claimed_by, available_at) VALUES "
      "($1, $2, 'http', $3, $4, CASE WHEN $5 = '' THEN 0 ELSE 1 END, nullif($5, ''), CASE WHEN $5 = '' THEN "
      "now() ELSE now() + make_interval(secs => $6::double precision) END)",
      {submission.id, "http:" + submission.id, submission.task, dump_json(payload_of(submission)), sender,
       std::to_string(lease_seconds)});
}

Accepted accept(Database& database, const std::vector<Submission>& submissions, const std::string& key,
                const std::string& digest, const Json& answer, const std::string& sender) {
  Accepted accepted;
  accepted.answer = answer;
  if (key.empty() && submissions.size() == 1 && submissions.front().unique_for <= 0 &&
      submissions.front().callback_url.empty()) {
    enqueue(database, submissions.front(), sender);  // one statement is a transaction
    return accepted;
  }
  return database.transaction([&] {
    if (!key.empty()) {
      // A key that has run out is free again.
      database.run("DELETE FROM idempotency_records WHERE idempotency_key = $1 AND expires_at <= now()",
                   {key});
      const auto mine = database.run(
          "INSERT INTO idempotency_records (id, idempotency_key, operation_type, operation_status, "
          "request_hash, result_data, completed_at, execution_count) "
          "VALUES ($1, $2, 'TASK', 'COMPLETED', $3, $4, now(), 1) ON CONFLICT (idempotency_key) DO NOTHING",
          {uuid4(), key, digest, dump_json(answer)});
      if (mine.affected() == 0) {
        const auto first = database.run(
            "SELECT request_hash, result_data FROM idempotency_records WHERE idempotency_key = $1", {key});
        if (first.empty())  // it ran out between the two statements
          throw DatabaseError(SqlFailure::operational, "40001", "the idempotency key has just expired");
        auto kept = parse_json(first.text(0, 1));
        if (first.text(0, 0) != digest || !kept) {
          accepted.kind = Accepted::Kind::key_reused;
          return accepted;
        }
        accepted.kind = Accepted::Kind::replayed;
        accepted.answer = std::move(*kept);
        return accepted;
      }
    }
    if (submissions.size() == 1 && submissions.front().unique_for > 0)
      if (auto first = first_of_its_kind(database, submissions.front(), answer)) {
        accepted.kind = Accepted::Kind::not_unique;
        accepted.answer = std::move(*first);
        // Its key, if it has one, belongs to the request that will be accepted.
        if (!key.empty()) database.run("DELETE FROM idempotency_records WHERE idempotency_key = $1", {key});
        return accepted;
      }
    for (const auto& submission : submissions) enqueue(database, submission, sender);
    return accepted;
  });
}

Known known_task(Database& database, const std::string& id) {
  const auto rows = database.run(
      "SELECT state = 'sent', payload->>'user_id', target, payload->>'queue', last_error, "
      "to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), CASE WHEN sent_at IS NULL "
      "THEN 0 ELSE "
      "extract(epoch FROM now() - greatest(sent_at, (payload->>'eta')::timestamptz)) END::float8 FROM outbox "
      "WHERE effect_key = $1",
      {"http:" + id});
  Known known;
  if (rows.empty()) return known;
  known.found = true;
  known.sent = rows.truth(0, 0);
  known.user_id = rows.str(0, 1);
  known.task = rows.str(0, 2);
  known.queue = rows.str(0, 3);
  known.last_error = rows.str(0, 4);
  known.created = rows.str(0, 5);
  known.due_for = std::max(0.0, std::stod(rows.str(0, 6)));
  return known;
}

void mark_sent(Database& database, const std::vector<std::string>& ids) {
  std::string array = "{";  // UUIDs of ours: nothing in them needs quotes
  for (const auto& id : ids) array += (array.size() > 1 ? "," : "") + id;
  database.run(
      "UPDATE outbox SET state = 'sent', sent_at = now(), last_error = NULL WHERE id = ANY($1::uuid[]) AND "
      "state = 'waiting'",
      {array + "}"});
}

void mark_failed(Database& database, const std::string& id, const std::string& why) {
  database.run(
      "UPDATE outbox SET last_error = $2, available_at = now() + least(attempts, 30) * interval '2 seconds' "
      "WHERE id = $1 AND state = 'waiting'",
      {id, why});
}

Expected<Message> message_of(const Json& payload) {
  const auto text = [&](const char* name) {
    const auto found = payload.find(name);
    return found != payload.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  TaskHeaders headers;
  headers.id = headers.root_id = text("id");
  headers.task = text("task");
  headers.lang = "py";
  headers.origin = "celeriac http";
  headers.ignore_result = false;
  auto args = parse_json(text("args")), kwargs = parse_json(text("kwargs"));
  if (!args) return unexpected("args: " + args.error().what);
  if (!kwargs) return unexpected("kwargs: " + kwargs.error().what);
  headers.argsrepr = python_args_repr(*args);
  headers.kwargsrepr = python_repr(*kwargs);
  Message message;
  if (auto eta = text("eta"); !eta.empty()) {
    headers.eta_text = eta;
    headers.eta = parse_iso8601(eta).value_or(0);
  }
  if (auto expires = text("expires"); !expires.empty()) {
    headers.expires_text = expires;
    headers.expires = parse_iso8601(expires).value_or(0);
  }
  Body body;
  body.args = std::move(*args);
  body.kwargs = std::move(*kwargs);
  const auto trace = text("traceparent");
  message.headers = write_headers(headers, trace.empty() ? Json(nullptr) : Json{{"traceparent", trace}});
  message.body = write_body(body);
  message.properties.correlation_id = headers.id;
  message.properties.reply_to = uuid4();
  message.properties.routing_key = text("queue");
  if (const auto priority = payload.find("priority");
      priority != payload.end() && priority->is_number_integer())
    message.properties.priority = priority->get<int>();
  return message;
}

}  // namespace celeriac::http
