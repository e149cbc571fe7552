#include "protocol/base64.hpp"
#include "protocol/body.hpp"
#include "protocol/envelope.hpp"
#include "protocol/uuid.hpp"
#include "tasks/dead_letters/classify.hpp"
#include "tasks/dead_letters/dead_letters.hpp"
#include "tasks/store/digest.hpp"
#include "tasks/store/slot_database.hpp"
#include "tasks/store/text_values.hpp"

#include <optional>

namespace celeriac {
namespace {

constexpr std::size_t max_arguments = 64u << 10;  // bytes of JSON; the exact message is kept anyway

std::string text(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

struct Failure {
  std::string type, message;
};

// Celery's JSON of an exception: {"exc_type", "exc_message": text or [args], "exc_module"}.
Failure failure_of(const Json& letter) {
  Failure out;
  const auto found = letter.find("exception");
  if (found != letter.end() && found->is_object()) {
    out.type = text(*found, "exc_type");
    const auto message = found->find("exc_message");
    if (message != found->end()) {
      const Json& first = message->is_array() && message->size() == 1 ? message->front() : *message;
      out.message = first.is_string() ? first.get<std::string>() : dump_json(first);
    }
  }
  if (out.type.empty()) out.type = text(letter, "category");
  if (out.message.empty()) out.message = text(letter, "cause");
  return out;
}

struct Arguments {
  SqlValue args, kwargs;
  std::string invoice_id;
};

// What people search by. Credentials that travel in arguments are not copied.
Arguments arguments_of(const Message& message) {
  Arguments out;
  const std::vector<std::string> accept = {"application/json"};
  const auto headers = read_task(message, accept);
  if (!headers) return out;
  auto body = read_body(message, *headers, accept);
  if (!body) return out;
  for (auto& [key, value] : body->kwargs.items()) {
    if (key.find("credential") != std::string::npos || key.find("token") != std::string::npos ||
        key.find("password") != std::string::npos || key.find("secret") != std::string::npos)
      value = "********";
  }
  const std::string named = text(body->kwargs, "invoice_id");
  if (is_uuid(named)) out.invoice_id = named;
  for (const auto& value : body->args) {
    if (out.invoice_id.empty() && value.is_string() && is_uuid(value.get<std::string>()))
      out.invoice_id = value.get<std::string>();
  }
  const std::string args = dump_json(body->args), kwargs = dump_json(body->kwargs);
  if (args.size() <= max_arguments) out.args = args;
  if (kwargs.size() <= max_arguments) out.kwargs = kwargs;
  return out;
}

std::string hex_bytes(std::string_view bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out = "\\x";
  out.reserve(2 + bytes.size() * 2);
  for (const unsigned char c : bytes) {
    out += digits[c >> 4];
    out += digits[c & 15];
  }
  return out;
}

// A run that was killed could not say so itself.
void fail_left_job(Database& database, const std::string& task_id, const Failure& failure) {
  database.run(
      "UPDATE processing_jobs SET status = 'failed', error_code = $2, error_message = $3, updated_at = now(),"
      " completed_at = now() WHERE task_id = $1 AND status = 'running'",
      {task_id, clean_text(failure.type, 100), clean_text(failure.message, 2000)});
}

}  // namespace

std::string record_dead_letter(Database& database, const Json& letter) {
  const auto bytes = letter.is_object() ? base64_decode(text(letter, "message"))
                                        : Expected<std::string>(unexpected("no object"));
  if (!bytes || bytes->empty()) throw TaskError("ValueError", "the letter holds no message");
  const auto message = decode_envelope(*bytes);
  const Failure failure = failure_of(letter);
  const Arguments arguments = message ? arguments_of(*message) : Arguments{};
  std::string task_id = clean_text(text(letter, "task_id"), 255),
              task = clean_text(text(letter, "task"), 255);
  if (task_id.empty()) task_id = "digest:" + sha256_hex(*bytes);
  if (task.empty()) task = "unknown";
  const std::string_view category = dead_category(text(letter, "category"), failure.type, failure.message);
  const auto failed_at = letter.find("failed_at");
  const std::string at = failed_at != letter.end() && failed_at->is_number() ? failed_at->dump() : "0";
  const auto attempts = letter.find("attempts");
  Json original = letter;
  original.erase("message");
  original.erase("traceback");
  return database.transaction([&] {
    fail_left_job(database, task_id, failure);
    // The notice of one death may come twice: the moment of death tells.
    database.run(
        "INSERT INTO dead_letter_queue AS d (id, task_id, task_name, task_args, task_kwargs, raw_message, "
        "error_type,"
        " error_message, error_stack_trace, error_category, priority, attempts, next_retry_at, "
        "manual_intervention,"
        " invoice_id, worker_name, queue_name, original_task_data, first_failed_at, last_failed_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, CASE WHEN $13 THEN now() + interval '1 "
        "minute' END,"
        " NOT $13, $14, $15, $16, $17, to_timestamp($18::double precision), to_timestamp($18::double "
        "precision))"
        " ON CONFLICT (task_id) DO UPDATE SET last_failed_at = excluded.last_failed_at,"
        " attempts = d.attempts + excluded.attempts, raw_message = excluded.raw_message, error_type = "
        "excluded.error_type,"
        " error_message = excluded.error_message, error_stack_trace = excluded.error_stack_trace,"
        " error_category = excluded.error_category, manual_intervention = excluded.manual_intervention,"
        " worker_name = excluded.worker_name, resolved_at = NULL, resolved_by = NULL, updated_at = now(),"
        " dlq_status = CASE WHEN d.retry_count >= d.max_retries THEN 'FAILED_PERMANENTLY' ELSE 'PENDING' "
        "END::dlqstatus,"
        " next_retry_at = CASE WHEN $13 AND d.retry_count < d.max_retries THEN now() + make_interval(secs =>"
        " least(3600, 60 * power(2, d.retry_count))) END WHERE excluded.last_failed_at > d.last_failed_at",
        {uuid4(), task_id, task, arguments.args, arguments.kwargs, hex_bytes(*bytes),
         clean_text(failure.type, 255), clean_text(failure.message, 4000, true),
         text_value(text(letter, "traceback"), 20000), std::string(category),
         std::string(to_string(dead_priority(task, category, !arguments.invoice_id.empty()))),
         attempts != letter.end() && attempts->is_number_integer() ? attempts->dump() : "1",
         may_redrive(category) ? "true" : "false",
         arguments.invoice_id.empty() ? SqlValue() : SqlValue(arguments.invoice_id),
         text_value(text(letter, "worker"), 255), clean_text(text(letter, "queue"), 255), dump_json(original),
         at});
    return database.run("SELECT id FROM dead_letter_queue WHERE task_id = $1", {task_id}).str(0, 0);
  });
}

}  // namespace celeriac
