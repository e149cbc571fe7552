#include "worker/dead_letter_notice.hpp"

#include "protocol/base64.hpp"
#include "protocol/body.hpp"
#include "protocol/envelope.hpp"

#include <doctest/doctest.h>

using namespace celeriac;

namespace {

Message original() {
  Message message;
  message.headers = R"({"lang": "py", "task": "a.task", "id": "7", "compression": "application/x-gzip"})";
  message.body = std::string("\x78\x9c\x00\xff not text", 13);
  message.properties.correlation_id = "7";
  message.properties.routing_key = "validation";
  return message;
}

}  // namespace

TEST_CASE("a notice is a plain task that carries the exact message, its cause and its place") {
  DeadNotice notice;
  notice.category = "failed";
  notice.exception = R"({"exc_type": "ValueError", "exc_message": ["boom"], "exc_module": "builtins"})";
  notice.queue = "validation";
  notice.worker = "celery@one";
  notice.task = "a.task";
  notice.task_id = "7";
  notice.attempts = 4;
  const Outgoing out = dead_letter_notice(notice, original(), "dlq_processing", 1000);
  CHECK(out.queue == "dlq_processing");
  CHECK(out.message.properties.routing_key == "dlq_processing");
  const std::vector<std::string> accept = {"application/json"};
  const auto headers = read_task(out.message, accept);
  REQUIRE(headers.has_value());
  CHECK(headers->task == "dead_letters.record");
  CHECK(headers->id != "7");
  CHECK(headers->parent_id == "7");
  const auto body = read_body(out.message, *headers, accept);
  REQUIRE(body.has_value());
  const Json& letter = body->args.at(0);
  CHECK(letter.at("exception").at("exc_type") == "ValueError");
  CHECK(letter.at("attempts") == 4);
  CHECK(letter.at("failed_at") == 1000.0);
  const auto kept = decode_envelope(base64_decode(letter.at("message").get<std::string>()).value());
  REQUIRE(kept.has_value());
  CHECK(kept->body == original().body);
  CHECK(*parse_json(kept->headers) == *parse_json(original().headers));
  CHECK(kept->properties.routing_key == "validation");
}

TEST_CASE("what cannot be read is carried as well") {
  Message odd;
  odd.headers = "\xff{";
  odd.body = "\x01\x02";
  DeadNotice notice;
  notice.category = "undecodable";
  notice.cause = "bad \xff bytes";
  const Outgoing out = dead_letter_notice(notice, odd, "dlq_processing", 1);
  CHECK(read_task(out.message, {"application/json"}).has_value());
}

TEST_CASE("dead letters of those who keep dead letters are not kept") {
  CHECK(keeps_dead_letters_of("validation.validate_invoice"));
  CHECK(keeps_dead_letters_of("anybody.else"));
  for (const char* task :
       {"dead_letters.record", "celery.chord_unlock", "maintenance.mend",
        "app.workers.maintenance_tasks.health_check", "app.workers.dlq_handlers.auto_redrive"}) {
    CAPTURE(task);
    CHECK_FALSE(keeps_dead_letters_of(task));
  }
}
