#include "worker/log_format.hpp"

#include "protocol/json.hpp"

#include <doctest/doctest.h>

#include <cstdlib>

using namespace celeriac;

TEST_CASE("lines look like Celery's") {
  ::setenv("TZ", "UTC", 1);
  LogRecord record;
  record.time = 1795172748.293;
  record.source = {"MainProcess", {}, {}};
  record.message = "w1@host1 ready.";
  std::string line;
  LogFormat("[%(asctime)s: %(levelname)s/%(processName)s] %(message)s").render(record, line);
  CHECK(line.substr(line.find(',')).substr(0, 3) == ",29");
  CHECK(line.substr(line.find(": ")) == ": INFO/MainProcess] w1@host1 ready.");

  line.clear();
  record.source = {"ForkPoolWorker-2", "t.add", "id1"};
  LogFormat("%(task_name)s[%(task_id)s] 100%% %(unknown)s %(process)d").render(record, line);
  CHECK(line == "t.add[id1] 100% %(unknown)s 0");
}

TEST_CASE("JSON lines are one object each") {
  LogRecord record;
  record.level = LogLevel::error;
  record.source = {"MainProcess", "t.add", "id1"};
  record.message = "line \"one\"\nline two";
  std::string line;
  render_json(record, line);
  const auto parsed = parse_json(line);
  REQUIRE(parsed);
  CHECK((*parsed)["level"] == "ERROR");
  CHECK((*parsed)["task_id"] == "id1");
  CHECK((*parsed)["message"] == "line \"one\"\nline two");
}

TEST_CASE("levels are read in any case") {
  CHECK(*parse_log_level("info") == LogLevel::info);
  CHECK(*parse_log_level("FATAL") == LogLevel::critical);
  CHECK_FALSE(parse_log_level("loud"));
}
