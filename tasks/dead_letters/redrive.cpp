#include "protocol/envelope.hpp"
#include "tasks/dead_letters/classify.hpp"
#include "tasks/dead_letters/dead_letters.hpp"
#include "tasks/store/log_levels.hpp"
#include "tasks/store/slot_database.hpp"
#include "tasks/store/text_values.hpp"

#include <string_view>

namespace celeriac {
namespace {

struct Letter {
  std::string id, task_id, status, category, queue;
  int redrives = 0, max_redrives = 0;
  std::string bytes;
};

// Locks the row.
Letter read_letter(Database& database, const std::string& id) {
  const Rows row = database.run(
      "SELECT task_id, dlq_status, error_category, queue_name, retry_count, max_retries,"
      " convert_from(raw_message, 'UTF8') FROM dead_letter_queue WHERE id = $1 FOR UPDATE",
      {id});
  if (row.empty()) throw invoice_error("DeadLetterNotFound", "there is no dead letter " + id);
  return {id,
          row.str(0, 0),
          row.str(0, 1),
          row.str(0, 2),
          row.str(0, 3),
          std::stoi(row.str(0, 4)),
          std::stoi(row.str(0, 5)),
          row.str(0, 6)};
}

[[noreturn]] void refuse(const std::string& why) { throw invoice_error("RedriveRefused", why); }

// What the client sent, as if it sent it now.
Message fresh(const Letter& letter) {
  auto message = decode_envelope(letter.bytes);
  if (!message) refuse("the message cannot be read: " + message.error().what);
  auto headers = parse_json(message->headers);
  if (!headers || !headers->is_object()) refuse("the message's headers cannot be read");
  if (headers->contains("task")) {  // protocol 1 has all of it in its body
    (*headers)["retries"] = 0;
    (*headers)["eta"] = nullptr;
    (*headers)["expires"] = nullptr;
  }
  message->headers = dump_json(*headers);
  message->properties.delivery_tag.clear();
  message->properties.expiration.clear();
  message->properties.redelivered = false;
  message->properties.exchange.clear();
  message->properties.routing_key = letter.queue;
  return std::move(*message);
}

void publish(Context& context, const Letter& letter) {
  SendRequest send;
  send.task_id = letter.task_id;
  send.outgoing.queue = letter.queue;
  send.outgoing.message = fresh(letter);
  const std::string fault = context.ask(std::move(send));
  if (!fault.empty()) throw TaskError("OperationalError", fault, "kombu.exceptions");
}

}  // namespace

Json redrive(Context& context, Database& database, const std::string& id, bool force) {
  return database.transaction([&] {
    const Letter letter = read_letter(database, id);
    const auto answer = [&](std::string_view status, bool sent) {
      return Json{{"id", id}, {"task_id", letter.task_id}, {"status", status}, {"redriven", sent}};
    };
    if (letter.status == "REDRIVING" && !force) return answer("REDRIVING", false);  // the message came twice
    if (letter.status == "COMPLETED" || letter.status == "ARCHIVED") refuse("the letter is " + letter.status);
    if (!force && !may_redrive(letter.category))
      refuse("another run would fail as well (" + letter.category + "); force it when the cause is mended");
    if (!force && letter.redrives >= letter.max_redrives)
      refuse("it was redriven " + std::to_string(letter.redrives) + " times");
    // Written first: should the commit fail after the message left, the redrive is repeated, and the task's
    // own guard against running twice holds.
    database.run(
        "UPDATE dead_letter_queue SET dlq_status = 'REDRIVING', retry_count = retry_count + 1, last_retry_at "
        "= now(),"
        " next_retry_at = NULL, updated_at = now(), redrive_history = redrive_history || jsonb_build_array("
        "jsonb_build_object('attempt_number', retry_count + 1, 'timestamp', now(), 'worker', $2::text)) "
        "WHERE id = $1",
        {id, context.hostname()});
    publish(context, letter);
    return answer("REDRIVING", true);
  });
}

Json auto_redrive(Context& context, Database& database, int limit) {
  const int confirmed = database
                            .run(
                                "UPDATE dead_letter_queue SET dlq_status = 'COMPLETED', resolved_at = now(), "
                                "resolved_by = 'redrive',"
                                " updated_at = now() WHERE dlq_status = 'REDRIVING' AND last_retry_at < "
                                "now() - interval '1 hour'")
                            .affected();
  const Rows ready = database.run(
      "SELECT id FROM dead_letter_queue WHERE dlq_status = 'PENDING' AND NOT manual_intervention"
      " AND retry_count < max_retries AND (next_retry_at IS NULL OR next_retry_at <= now())"
      " ORDER BY priority DESC, first_failed_at LIMIT $1",
      {std::to_string(limit)});
  int redriven = 0, failed = 0;
  for (int row = 0; row < ready.size(); ++row) {
    context.checkpoint();
    try {
      redriven += redrive(context, database, ready.str(row, 0), false).at("redriven").get<bool>();
    } catch (const TaskError& error) {
      if (error.info().type == "OperationalError")
        throw;  // the broker: none of the others would leave either
      ++failed;
      database.run(
          "UPDATE dead_letter_queue SET manual_intervention = true, updated_at = now() WHERE id = $1",
          {ready.str(row, 0)});
      context.log(log_warning, "dead letter " + ready.str(row, 0) + " is left to a person: " + error.what());
    }
  }
  return {{"redriven", redriven}, {"failed", failed}, {"confirmed", confirmed}};
}

Json dead_letter_health(Database& database) {
  const auto counts = [&](const std::string& column) {
    Json out = Json::object();
    const Rows rows = database.run(
        "SELECT lower(" + column +
        "::text), count(*) FROM dead_letter_queue"
        " WHERE created_at > now() - interval '1 day' OR dlq_status = 'PENDING' GROUP BY 1 ORDER BY 1");
    for (int row = 0; row < rows.size(); ++row) out[rows.str(row, 0)] = std::stoll(rows.str(row, 1));
    return out;
  };
  const Rows row = database.run(
      "SELECT count(*) FILTER (WHERE dlq_status = 'PENDING'), count(*) FILTER (WHERE priority = 'CRITICAL' "
      "AND"
      " dlq_status = 'PENDING'), count(*) FILTER (WHERE dlq_status = 'FAILED_PERMANENTLY'),"
      " count(*) FILTER (WHERE dlq_status IN ('COMPLETED', 'FAILED_PERMANENTLY')),"
      " round(coalesce(extract(epoch FROM now() - min(first_failed_at) FILTER (WHERE dlq_status = "
      "'PENDING')) / 3600, 0), 2),"
      " count(*) FROM dead_letter_queue WHERE created_at > now() - interval '1 day' OR dlq_status = "
      "'PENDING'");
  const auto number = [&](int column) { return std::stoll(row.str(0, column)); };
  const double oldest = std::stod(row.str(0, 4));
  Json alerts = Json::array();
  const auto alert = [&](bool raised, const char* level, std::string message) {
    if (raised) alerts.push_back({{"level", level}, {"message", std::move(message)}});
  };
  alert(number(0) > 100, "warning", std::to_string(number(0)) + " dead letters are pending");
  alert(number(1) > 10, "critical", std::to_string(number(1)) + " critical dead letters are pending");
  alert(number(3) > 0 && number(2) * 2 > number(3), "warning",
        "more than half of the dead letters failed permanently");
  alert(oldest > 24, "warning", "the oldest dead letter has waited " + row.str(0, 4) + " hours");
  return {{"total", number(5)},
          {"by_status", counts("dlq_status")},
          {"by_category", counts("error_category")},
          {"oldest_pending_hours", oldest},
          {"alerts", alerts}};
}

Json archive_dead_letter(Database& database, const std::string& id, const std::string& by) {
  const Rows row = database.run(
      "UPDATE dead_letter_queue SET dlq_status = 'ARCHIVED', resolved_at = coalesce(resolved_at, now()), "
      "resolved_by = $2,"
      " next_retry_at = NULL, updated_at = now() WHERE id = $1 RETURNING task_id",
      {id, clean_text(by, 255)});
  if (row.empty()) throw invoice_error("DeadLetterNotFound", "there is no dead letter " + id);
  return {{"id", id}, {"task_id", row.str(0, 0)}, {"status", "ARCHIVED"}};
}

}  // namespace celeriac
