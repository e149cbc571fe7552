// Dead letters: what kind they are, that one death is one row, and that a redrive is the client's message
// again.
#include "tasks/dead_letters/dead_letters.hpp"
#include "tasks/dead_letters/classify.hpp"

#include "protocol/base64.hpp"
#include "protocol/envelope.hpp"
#include "tests/tasks/process_fixture.hpp"

#include <doctest/doctest.h>

using namespace celeriac;
using testing::InvoiceStage;

namespace {

constexpr const char* task_id = "00000000-0000-4000-8000-0000000000d1";

Message message() {
  Message out;
  out.headers = dump_json({{"lang", "py"},
                           {"task", "app.workers.invoice_tasks.validate_invoice_task"},
                           {"id", task_id},
                           {"retries", 2},
                           {"expires", "2020-01-01T00:00:00+00:00"},
                           {"eta", "2020-01-01T00:00:00+00:00"},
                           {"x-tenant", "blue"}});
  out.body =
      R"([["00000000-0000-4000-8000-0000000000a1"], {"credentials_data": {"token": "ya29"}}, {"callbacks": null}])";
  out.properties.correlation_id = task_id;
  out.properties.routing_key = "validation";
  return out;
}

Json letter(const std::string& type = "ConnectionError", double at = 1000) {
  return {{"category", "failed"},
          {"cause", ""},
          {"exception", {{"exc_type", type}, {"exc_message", {"no route"}}, {"exc_module", "builtins"}}},
          {"traceback", "Traceback ..."},
          {"queue", "validation"},
          {"worker", "celery@one"},
          {"task", "app.workers.invoice_tasks.validate_invoice_task"},
          {"task_id", task_id},
          {"attempts", 3},
          {"failed_at", at},
          {"message", base64_encode(encode_envelope(message()))}};
}

struct Desk {
  InvoiceStage stage;
  Database database{stage.config.database_url};

  std::string record(const Json& json) { return record_dead_letter(database, json); }
  Json send_again(const std::string& id, bool force = false) {
    return stage.in_context("r", [&](Context& context) { return redrive(context, database, id, force); });
  }
  Json round() {
    return stage.in_context("r", [&](Context& context) { return auto_redrive(context, database, 100); });
  }
  std::string row() {
    return stage.sql(
        "SELECT concat_ws(' ', dlq_status, error_category, priority, attempts, retry_count) FROM "
        "dead_letter_queue");
  }
};

std::string failure(const std::function<void()>& body) {
  try {
    body();
  } catch (const TaskError& error) {
    return error.info().type;
  }
  return {};
}

}  // namespace

TEST_CASE("categories, priorities and delays") {
  struct Case {
    const char *kept, *type, *message, *category;
  };
  for (const auto& one :
       {Case{"failed", "ConnectionError", "", "NETWORK_ERROR"},
        Case{"failed", "X", "read timed out on connection", "TIMEOUT_ERROR"},
        Case{"failed", "OperationalError", "timeout", "DATABASE_ERROR"},
        Case{"failed", "X", "violates a constraint", "DATABASE_ERROR"},
        Case{"failed", "SchemaError", "", "VALIDATION_ERROR"},
        Case{"failed", "PermissionError", "", "BUSINESS_RULE_ERROR"},
        Case{"failed", "MemoryError", "", "SYSTEM_ERROR"},
        Case{"failed", "ParseError", "", "PROCESSING_ERROR"}, Case{"failed", "X", "y", "UNKNOWN_ERROR"},
        Case{"failed", "WorkerLostError", "", "POISON"}, Case{"expired", "TaskRevokedError", "", "EXPIRED"},
        Case{"unknown_task", "NotRegistered", "", "UNKNOWN_TASK"},
        Case{"undecodable", "", "", "UNDECODABLE"}}) {
    CAPTURE(one.type);
    CHECK(dead_category(one.kept, one.type, one.message) == one.category);
  }
  CHECK(dead_priority("a.process_invoice_task", "UNKNOWN_ERROR", false) == DeadPriority::high);
  CHECK(dead_priority("a.process_invoice_task", "DATABASE_ERROR", false) == DeadPriority::critical);
  CHECK(dead_priority("a.cleanup_files", "NETWORK_ERROR", false) == DeadPriority::low);
  CHECK(dead_priority("a.other", "NETWORK_ERROR", false) == DeadPriority::high);
  CHECK(dead_priority("a.other", "BUSINESS_RULE_ERROR", false) == DeadPriority::low);
  CHECK(dead_priority("a.other", "UNKNOWN_ERROR", false) == DeadPriority::normal);
  CHECK(redrive_delay(0).count() == 60);
  CHECK(redrive_delay(3).count() == 480);
  CHECK(redrive_delay(100).count() == 3600);
  CHECK(may_redrive("NETWORK_ERROR"));
  CHECK_FALSE(may_redrive("UNDECODABLE"));
}

TEST_CASE("a death is one row with exact bytes, cause, place and times, and no credential") {
  Desk desk;
  const auto id = desk.record(letter());
  CHECK(desk.record(letter()) == id);  // the notice came twice
  CHECK(desk.row() == "PENDING NETWORK_ERROR HIGH 3 0");
  CHECK(desk.stage.sql("SELECT concat_ws(' ', worker_name, queue_name, invoice_id, error_message, "
                       "extract(epoch FROM first_failed_at))"
                       " FROM dead_letter_queue") ==
        "celery@one validation 00000000-0000-4000-8000-0000000000a1 no route 1000.000000");
  const auto kept = desk.stage.sql("SELECT convert_from(raw_message, 'UTF8') FROM dead_letter_queue");
  CHECK(decode_envelope(kept)->body == message().body);
  CHECK(desk.stage.sql("SELECT task_kwargs->>'credentials_data' FROM dead_letter_queue") == "********");
  CHECK(desk.stage.sql(
            "SELECT count(*) FROM dead_letter_queue WHERE original_task_data::text LIKE '%ya29%'") == "0");
}

TEST_CASE("what cannot be read is kept as well, under its digest") {
  Desk desk;
  Json odd = letter();
  odd["task_id"] = "";
  odd["task"] = "";
  odd["exception"] = nullptr;
  odd["category"] = "undecodable";
  odd["cause"] = "bad JSON";
  odd["message"] = base64_encode("\x01\x02 not an envelope");
  desk.record(odd);
  desk.record(odd);
  CHECK(desk.row() == "PENDING UNDECODABLE NORMAL 3 0");
  CHECK(desk.stage.sql("SELECT manual_intervention || ' ' || left(task_id, 7) || ' ' || error_message FROM "
                       "dead_letter_queue") == "true digest: bad JSON");
  CHECK(failure([&] { desk.record({{"message", "***"}}); }) == "ValueError");
  CHECK(failure([&] { desk.record(Json::array()); }) == "ValueError");
}

TEST_CASE("a redrive sends the client's message again, plain") {
  Desk desk;
  const auto id = desk.record(letter());
  CHECK(desk.send_again(id).at("redriven") == true);
  CHECK(desk.send_again(id).at("redriven") == false);  // the message came twice
  REQUIRE(desk.stage.port.sent().size() == 1);
  const auto sent = desk.stage.port.sent()[0];
  CHECK(sent.task_id == task_id);
  CHECK(sent.outgoing.queue == "validation");
  CHECK(sent.outgoing.message.body == message().body);
  const auto headers = parse_json(sent.outgoing.message.headers);
  CHECK(headers->at("id") == task_id);
  CHECK(headers->at("retries") == 0);
  CHECK(headers->at("expires").is_null());
  CHECK(headers->at("eta").is_null());
  CHECK(headers->at("x-tenant") == "blue");
  CHECK(desk.row() == "REDRIVING NETWORK_ERROR HIGH 3 1");
}

TEST_CASE("a task that dies again waits longer, and is given up after its redrives") {
  Desk desk;
  const auto id = desk.record(letter());
  for (int redrives = 1; redrives <= 3; ++redrives) {
    desk.send_again(id);
    desk.record(letter("ConnectionError", 1000 + redrives));
  }
  CHECK(desk.row() == "FAILED_PERMANENTLY NETWORK_ERROR HIGH 12 3");
  CHECK(failure([&] { desk.send_again(id); }) == "RedriveRefused");
  CHECK(desk.send_again(id, true).at("redriven") == true);
  CHECK(desk.stage.sql("SELECT jsonb_array_length(redrive_history) FROM dead_letter_queue") == "4");
}

TEST_CASE("a round redrives what is due, leaves the hopeless to people and confirms what did not come back") {
  Desk desk;
  desk.record(letter());
  CHECK(desk.round() == Json{{"redriven", 0}, {"failed", 0}, {"confirmed", 0}});  // not due yet
  desk.stage.sql("UPDATE dead_letter_queue SET next_retry_at = now() - interval '1 second'");
  CHECK(desk.round().at("redriven") == 1);
  desk.stage.sql("UPDATE dead_letter_queue SET last_retry_at = now() - interval '2 hours'");
  CHECK(desk.round().at("confirmed") == 1);
  CHECK(desk.stage.sql("SELECT dlq_status || ' ' || resolved_by FROM dead_letter_queue") ==
        "COMPLETED redrive");
  Json invalid = letter("SchemaError");
  invalid["task_id"] = "other";
  const auto other = desk.record(invalid);
  CHECK(desk.round().at("redriven") == 0);
  CHECK(failure([&] { desk.send_again(other); }) == "RedriveRefused");
}

TEST_CASE("a broker that refuses leaves the letter as it was") {
  Desk desk;
  const auto id = desk.record(letter());
  desk.stage.port.on_send = [](const SendRequest&) { return std::string("broker is away"); };
  CHECK(failure([&] { desk.send_again(id); }) == "OperationalError");
  CHECK(desk.row() == "PENDING NETWORK_ERROR HIGH 3 0");
}

TEST_CASE("a run that was killed leaves no job running") {
  Desk desk;
  desk.stage.sql(std::string("INSERT INTO processing_jobs (id, task_id, status, attempts, started_at) VALUES"
                             " (gen_random_uuid(), '") +
                 task_id + "', 'running', 1, now())");
  desk.record(letter("TimeLimitExceeded"));
  CHECK(desk.stage.sql("SELECT status || ' ' || error_code FROM processing_jobs") ==
        "failed TimeLimitExceeded");
}

TEST_CASE("health counts and alerts") {
  Desk desk;
  desk.record(letter());
  const Json health = dead_letter_health(desk.database);
  CHECK(health.at("total") == 1);
  CHECK(health.at("by_status").at("pending") == 1);
  CHECK(health.at("by_category").at("network_error") == 1);
  REQUIRE(health.at("alerts").size() == 1);  // it died in 1970
  CHECK(health.at("alerts")[0].at("level") == "warning");
}
