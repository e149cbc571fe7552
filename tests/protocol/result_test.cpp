#include "protocol/result.hpp"

#include "protocol/time.hpp"
#include "samples.hpp"

#include <doctest/doctest.h>

using namespace celeriac;
using namespace celeriac::test;

namespace {

std::string text(const Json& document, const char* key) {
  return document.contains(key) && document[key].is_string() ? document[key].get<std::string>() : "";
}

}  // namespace

TEST_CASE("captured results are read, and written again to the byte") {
  for (const auto& line : sample_lines("results-5.6.jsonl")) {
    CAPTURE(line);
    const auto document = read_result(line);
    REQUIRE(document);
    const Json& d = *document;
    TaskResult r;
    r.task_id = text(d, "task_id");
    r.status = text(d, "status");
    r.result = dump_json(d["result"]);
    r.traceback = text(d, "traceback");
    r.children = dump_json(d["children"]);
    if (d["date_done"].is_string()) r.date_done = parse_iso8601(text(d, "date_done")).value();
    r.group_id = text(d, "group_id");
    r.parent_id = text(d, "parent_id");
    r.extended = d.contains("name");
    if (r.extended) {
      r.name = text(d, "name");
      r.args = dump_json(d["args"]);
      r.kwargs = dump_json(d["kwargs"]);
      r.worker = text(d, "worker");
      r.queue = text(d, "queue");
      if (d["retries"].is_number()) r.retries = d["retries"].get<std::int64_t>();
    }
    CHECK(write_result(r) == line);
  }
}

TEST_CASE("stamps follow their names") {
  TaskResult r;
  r.task_id = "i";
  r.status = "SUCCESS";
  r.extended = true;
  r.name = "t";
  r.stamps = R"({"tag": ["a", "b"], "run": "r1"})";
  CHECK(
      write_result(r).find(
          R"("queue": null, "stamped_headers": ["tag", "run"], "tag": ["a", "b"], "run": "r1", "task_id")") !=
      std::string::npos);
}

TEST_CASE("only a final state has a date") {
  TaskResult r;
  r.task_id = "i";
  r.status = "STARTED";
  r.date_done = 1e9;
  CHECK(
      write_result(r) ==
      R"({"status": "STARTED", "result": null, "traceback": null, "children": [], "date_done": null, "task_id": "i"})");
}

TEST_CASE("exceptions as documents and as Python shows them") {
  const ExceptionInfo error{"ValueError", "builtins", R"(["boom", 7])"};
  CHECK(error.json() ==
        R"({"exc_type": "ValueError", "exc_message": ["boom", 7], "exc_module": "builtins"})");
  CHECK(error.repr() == "ValueError('boom', 7)");
  CHECK(ExceptionInfo{"KeyError", "builtins", R"(["x"])"}.repr() == "KeyError('x')");
  CHECK(ExceptionInfo{"SoftTimeLimitExceeded", "billiard.exceptions", "[]"}.repr() ==
        "SoftTimeLimitExceeded()");
}

TEST_CASE("states") {
  for (const auto name : {"SUCCESS", "FAILURE", "REVOKED"}) CHECK(is_ready(name));
  for (const auto name : {"STARTED", "RETRY", "PENDING", "PROGRESS"}) CHECK(!is_ready(name));
  for (const auto name : {"RETRY", "FAILURE", "REVOKED"}) CHECK(is_exception(name));
  CHECK(!is_exception("SUCCESS"));
}

TEST_CASE("what is no result is an error") {
  for (const auto* text : {"", "[]", "{}", "{\"status\": 5}", "null"}) CHECK(!read_result(text));
}
