#include "protocol/body.hpp"
#include "protocol/envelope.hpp"
#include "samples.hpp"

#include <doctest/doctest.h>

using namespace celeriac;
using namespace celeriac::test;

namespace {

const std::vector<std::string> json_only = {"json"};

Message with_headers(std::string headers) {
  Message message;
  message.headers = std::move(headers);
  message.body = "[[], {}, {}]";
  return message;
}

tl::expected<TaskHeaders, Refused> read(std::string headers) {
  return read_task(with_headers(std::move(headers)), json_only);
}

std::string refused(std::string headers) {
  const auto task = read(std::move(headers));
  return task ? std::string("accepted") : task.error().cause;
}

}  // namespace

TEST_CASE("protocol 2 headers are read, and written again as Python writes them") {
  int written = 0;
  for (const auto& line : sample_lines("envelopes-5.6.jsonl")) {
    const auto message = decode_envelope(line);
    REQUIRE(message);
    const auto task = read_task(*message, {"json", "application/x-yaml", "msgpack", "pickle"});
    if (message->content_type == "application/x-python-serialize") {
      REQUIRE(!task);
      CHECK(task.error().why == Refusal::invalid_task);
      CHECK(task.error().task_id == "id-pickle");
      continue;
    }
    CAPTURE(line);
    REQUIRE(task);
    if (task->protocol == Protocol::v1) continue;
    const Json extra = task->id == "id-full" ? Json{{"x-h", "v"}} : Json();
    CHECK(write_headers(*task, extra) == message->headers);
    ++written;
  }
  CHECK(written == 15);
}

TEST_CASE("every header arrives") {
  const auto message = decode_envelope(sample_envelope("id-full"));
  const auto& all = sample_lines("envelopes-5.6.jsonl");
  const auto last = decode_envelope(all.back());
  REQUIRE(last);
  const auto task = read_task(*last, json_only);
  REQUIRE(task);
  CHECK(task->protocol == Protocol::v2);
  CHECK(task->id == "id-full");
  CHECK(task->task == "t.add");
  CHECK(task->lang == "py");
  CHECK(task->shadow == "shadowed");
  CHECK(task->display_name() == "shadowed");
  CHECK(task->root_id == "id-full");
  CHECK(task->parent_id.empty());
  CHECK(task->time_limit == 30);
  CHECK(task->soft_time_limit == 20);
  CHECK(task->argsrepr == "(2,)");
  CHECK(task->kwargsrepr == "{'y': 3}");
  CHECK(task->ignore_result == true);
  REQUIRE(task->eta);
  REQUIRE(task->expires);
  CHECK(*task->expires - *task->eta == doctest::Approx(60).epsilon(0.01));
  CHECK(task->stamps.empty());

  const auto stamped = read_task(decode_envelope(sample_envelope("id-stamp")).value(), json_only);
  REQUIRE(stamped);
  CHECK(stamped->stamps == R"({"tag": ["a", "b"], "run": "r1"})");
  CHECK(stamped->stamped_headers == R"(["tag", "run"])");
}

TEST_CASE("protocol 1 bodies become headers") {
  for (const auto& line : sample_lines("envelopes-5.6.jsonl")) {
    const auto message = decode_envelope(line);
    REQUIRE(message);
    if (message->headers.find("\"task\"") != std::string::npos) continue;
    const auto task = read_task(*message, json_only);
    REQUIRE(task);
    CHECK(task->protocol == Protocol::v1);
    CHECK(task->task == "t.add");
    CHECK((task->id == "id-plain" || task->id == "id-full"));
    CHECK(task->argsrepr.empty());
    if (task->id == "id-full") CHECK(task->time_limit == 30);
    const auto body = read_body(*message, *task, json_only);
    REQUIRE(body);
    CHECK(body->args.is_array());
    CHECK(body->embed.json()->size() == 4);
  }
  Message message;
  message.body =
      R"({"task": "t", "id": "i", "group": "g", "taskset": "s", "eta": "2026-01-02T03:04:05", "retries": 2})";
  const auto task = read_task(message, json_only);
  REQUIRE(task);
  CHECK(task->group == "s");
  CHECK(task->retries == 2);
  CHECK(task->eta == 1767323045);
}

TEST_CASE("a header names the task and an object is the body: both count, the headers more") {
  Message message;
  message.headers = R"({"task": "t.header", "retries": 4})";
  message.body =
      R"({"task": "t.body", "id": "i", "args": [1], "kwargs": {"a": 2}, "retries": 1, "expires": null})";
  const auto task = read_task(message, json_only);
  REQUIRE(task);
  CHECK(task->protocol == Protocol::v2);
  CHECK(task->task == "t.header");
  CHECK(task->id == "i");
  CHECK(task->retries == 4);
  const auto body = read_body(message, *task, json_only);
  REQUIRE(body);
  CHECK(body->args == Json::array({1}));
  CHECK(body->kwargs["a"] == 2);
}

TEST_CASE("odd headers") {
  CHECK(read(R"({"task": "t", "id": "i"})")->retries == 0);
  CHECK(read(R"({"id": "i", "task": "t", "timelimit": null, "retries": null, "x": [{}], "stamps": {}})")
            ->stamps.empty());
  CHECK(!read(R"({"id": "i", "task": "t", "timelimit": [0, null]})")->time_limit);
  CHECK(read(R"({"id": "i", "task": "t", "timelimit": [null, 1.5]})")->soft_time_limit == 1.5);
  CHECK(
      read(
          R"({"id": {"__type__": "uuid", "__value__": {"hex": "00000000000000000000000000000001"}}, "task": "t"})")
          ->id == "00000000-0000-0000-0000-000000000001");
  CHECK(read(R"({"id": "i", "task": "t", "eta": "2020-01-01T00:00:00Z"})")->eta == 1577836800);
  CHECK(read(R"({"id": "i", "task": "t", "eta": "2020-01-01T00:00:00+02:00"})")->eta == 1577829600);
  CHECK(read(R"({"id": "\u0069", "\u0074ask": "t"})")->task == "t");
}

TEST_CASE("what cannot be a task is refused with its cause") {
  CHECK(refused(R"({"task": "t"})") == "no task id");
  CHECK(refused(R"({"task": "t", "id": 5})").find("header 'id'") == 0);
  CHECK(refused(R"({"task": "t", "id": "i", "eta": "not-a-date"})").find("header 'eta'") == 0);
  CHECK(refused(R"({"task": "t", "id": "i", "expires": 5})").find("header 'expires'") == 0);
  CHECK(refused(R"({"task": "t", "id": "i", "timelimit": [1]})") != "accepted");
  CHECK(refused(R"({"task": "t", "id": "i", "timelimit": [1, 2, 3]})") != "accepted");
  CHECK(refused(R"({"task": "t", "id": "i", "retries": "x"})") != "accepted");
  CHECK(refused(R"({"task": "t", "id": "i", "compression": "application/x-nope"})").find("compression") !=
        std::string::npos);
  CHECK(refused(R"({"task": "", "id": "i"})") != "accepted");
  CHECK(refused("[]") != "accepted");
  CHECK(refused("{\"task\": \"t\"") != "accepted");
  CHECK(read(R"({"task": "t", "id": "i", "eta": "zz"})").error().why == Refusal::invalid_task);
  CHECK(read(R"({"task": "t", "id": "i", "eta": "zz"})").error().task_id == "i");
  CHECK(read(R"({"id": "i"})").error().why == Refusal::unknown_message);
}

TEST_CASE("content types are accepted by either name, pickle by none") {
  const auto accepts = [](std::string type, std::vector<std::string> accept) {
    Message message = with_headers(R"({"task": "t", "id": "i"})");
    message.content_type = std::move(type);
    const auto task = read_task(message, accept);
    return task.has_value();
  };
  CHECK(accepts("application/json", {"json"}));
  CHECK(accepts("application/json", {"application/json"}));
  CHECK(!accepts("application/json", {"yaml"}));
  CHECK(accepts("application/x-yaml", {"json", "yaml"}));
  CHECK(accepts("application/x-msgpack", {"application/x-msgpack"}));
  CHECK(!accepts("application/x-python-serialize", {"pickle", "application/x-python-serialize"}));
  CHECK(!accepts("application/data", {"json", "application/data"}));
  CHECK(!accepts("text/plain", {"text/plain"}));
  CHECK(!accepts("application/x-foo", {"application/x-foo"}));
}
