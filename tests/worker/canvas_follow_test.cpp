// What follows the end of a task, and what a task that replaces itself hands on.
#include "worker/canvas/canvas.hpp"
#include "worker/canvas/follow.hpp"
#include "worker/canvas/replace.hpp"
#include "worker/errors.hpp"

#include <doctest/doctest.h>

using namespace celeriac;
using canvas::Aftermath;
using canvas::Ended;
using canvas::Sender;

namespace {

const std::string boom = ExceptionInfo{"ValueError", "builtins", R"(["boom"])"}.json();

TaskHeaders headers() {
  TaskHeaders h;
  h.id = "me";
  h.task = "t.me";
  h.root_id = "root";
  return h;
}

Sender sender() {
  Sender s;
  s.parent_id = "me";
  s.root_id = "root";
  s.now = 1000;
  s.new_id = [n = 0]() mutable { return "new-" + std::to_string(++n); };
  return s;
}

Json embed(const char* text) { return parse_json(text).value(); }

Aftermath after(const TaskHeaders& h, const Json& embed, std::string_view state, std::string result) {
  Ended ended;
  ended.headers = &h;
  ended.state = state;
  ended.result = std::move(result);
  auto out = canvas::aftermath(Embed::from(embed), ended, sender(),
                               [](const std::string& task) { return task == "t.native"; });
  REQUIRE(out);
  return std::move(*out);
}

const Outgoing& message(const canvas::Step& step) { return std::get<Outgoing>(step); }
Json args(const canvas::Step& step) { return parse_json(message(step).message.body).value()[0]; }
Json header(const canvas::Step& step, const char* name) {
  return parse_json(message(step).message.headers).value()[name];
}

}  // namespace

TEST_CASE("a result goes to the callbacks, then to the next step of the chain") {
  const TaskHeaders h = headers();
  const Aftermath out = after(h, embed(R"({"callbacks": [{"task": "t.cb", "args": [1]}],
      "chain": [{"task": "t.last", "options": {"task_id": "last"}}, {"task": "t.next", "args": [2], "options": {"task_id": "next"}}]})"),
                              state::success, "5");
  REQUIRE(out.before.size() == 2);
  CHECK(header(out.before[0], "task") == "t.cb");
  CHECK(args(out.before[0]) == Json::array({5, 1}));
  CHECK(header(out.before[1], "id") == "next");
  CHECK(args(out.before[1]) == Json::array({5, 2}));
  CHECK(header(out.before[1], "parent_id") == "me");
  CHECK(header(out.before[1], "root_id") == "root");
  CHECK(parse_json(message(out.before[1]).message.body).value()[2]["chain"][0]["options"]["task_id"] ==
        "last");
  CHECK(dump_json(out.children) == R"([[["new-1", null], null], [["next", null], null]])");
  CHECK(out.rows.empty());
}

TEST_CASE("several callbacks are one group; an immutable one takes no result") {
  const TaskHeaders h = headers();
  const Aftermath out = after(h, embed(R"({"callbacks": [{"task": "a"}, {"task": "b", "immutable": true}]})"),
                              state::success, "5");
  REQUIRE(out.before.size() == 2);
  CHECK(args(out.before[0]) == Json::array({5}));
  CHECK(args(out.before[1]).empty());
  CHECK(header(out.before[0], "group") == header(out.before[1], "group"));
  CHECK(out.children.size() == 1);
}

TEST_CASE("a failure reaches every later step, and the errbacks") {
  const TaskHeaders h = headers();
  const Aftermath out = after(h, embed(R"({"errbacks": [{"task": "t.alarm"}, {"task": "t.native"}],
      "chain": [{"task": "t.last", "options": {"task_id": "last", "chord": {"task": "t.body"}, "group_id": "g", "group_index": 2}},
                {"task": "celery.chord", "subtask_type": "chord", "kwargs": {"header": [], "body": {"task": "b", "options": {"task_id": "body"}}}}]})"),
                              state::failure, boom);
  CHECK(out.before.empty());
  REQUIRE(out.rows.size() == 2);
  CHECK(out.rows[0].task_id == "last");
  CHECK(out.rows[0].status == "FAILURE");
  CHECK(out.rows[0].result == boom);
  CHECK(out.rows[1].task_id == "body");
  REQUIRE(out.parts.size() == 1);
  CHECK(out.parts[0].part.group_id == "g");
  CHECK(out.parts[0].part.task_id == "last");
  CHECK(out.parts[0].part.index == 2);
  REQUIRE(out.errbacks.size() == 2);
  CHECK(header(out.errbacks[0], "task") == "t.native");
  CHECK(args(out.errbacks[0])[0]["id"] == "me");
  CHECK(args(out.errbacks[0])[1]["exc_type"] == "ValueError");
  CHECK(args(out.errbacks[1]) == Json::array({"me"}));
  CHECK(header(out.errbacks[1], "parent_id") == "me");
}

TEST_CASE("a revoked task ends its part of a chord and nothing else") {
  TaskHeaders h = headers();
  h.group = "g";
  h.group_index = 0;
  const Json what = embed(R"({"errbacks": [{"task": "t.alarm"}], "chord": {"task": "t.body"},
                              "chain": [{"task": "t.last", "options": {"task_id": "last"}}]})");
  const Aftermath out = after(h, what, state::revoked, boom);
  CHECK(out.rows.empty());
  CHECK(out.errbacks.empty());
  REQUIRE(out.parts.size() == 1);
  CHECK(out.parts[0].part.state == "REVOKED");
}

TEST_CASE("what cannot be read is refused, not half done") {
  const TaskHeaders h = headers();
  Ended ended;
  ended.headers = &h;
  ended.state = state::success;
  const auto no = [](const std::string&) { return false; };
  const Embed bad = Embed::from(embed(R"({"callbacks": [{"task": "a"}], "chain": [{"nothing": 1}]})"));
  const auto out = canvas::aftermath(bad, ended, sender(), no);
  REQUIRE(!out);
  CHECK(out.error().what == "chain: signature is no signature: it has no task name");
}

TEST_CASE("a step carries those behind it as they came, read or not") {
  const TaskHeaders h = headers();
  Ended ended;
  ended.headers = &h;
  ended.state = state::success;
  ended.result = "7";
  const auto no = [](const std::string&) { return false; };
  const auto embed_of = [](const canvas::Step& step) {
    const std::string& body = message(step).message.body;
    return body.substr(body.find("\"callbacks\""));
  };
  const auto next = [&](const char* text) {
    return canvas::aftermath(Embed::of(text).value(), ended, sender(), no);
  };
  const auto out = next(R"({"chain": [ {"nothing":1},{"task":"c","x":1e2} , {"task": "b", "args": [1]} ]})");
  REQUIRE(out);
  CHECK(header(out->before[0], "task") == "b");
  CHECK(args(out->before[0]) == Json::array({7, 1}));
  CHECK(
      embed_of(out->before[0]) ==
      R"("callbacks": null, "errbacks": null, "chain": [ {"nothing":1},{"task":"c","x":1e2}], "chord": null}])");
  CHECK(embed_of(next(R"({"chain": [{"task": "b"}]})")->before[0]) ==
        R"("callbacks": null, "errbacks": null, "chain": [], "chord": null}])");
  CHECK(header(next(R"({"chain": {"task": "alone"}})")->before[0], "task") == "alone");
  // A composition takes its followers in, so they must be sound.
  const char* mixed = R"({"chain": [{"nothing": 1}, {"task": "celery.group", "subtask_type": "group",
                          "kwargs": {"tasks": [{"task": "a"}]}}]})";
  CHECK(next(mixed).error().what == "chain: signature is no signature: it has no task name");
}

TEST_CASE("a chord that fails takes along its body, what follows it, and the chord around it") {
  Json body = embed(R"({"task": "b", "args": [], "kwargs": {}, "subtask_type": null, "immutable": false,
      "options": {"task_id": "body", "link_error": [{"task": "t.alarm"}], "chord": {"task": "outer"},
                  "group_id": "og", "group_index": 1,
                  "chain": [{"task": "c", "args": [], "kwargs": {}, "options": {"task_id": "after"}}]}})");
  const Aftermath out = canvas::chord_failure(std::move(body), canvas::failed_part("x", embed(boom.c_str())),
                                              sender(), false, [](const std::string&) { return false; });
  REQUIRE(out.rows.size() == 2);
  CHECK(out.rows[0].task_id == "body");
  CHECK(
      out.rows[0].result ==
      R"x({"exc_type": "ChordError", "exc_message": ["Dependency x raised ValueError('boom')"], "exc_module": "celery.exceptions"})x");
  CHECK(out.rows[0].children == R"([[["new-1", null], [[["new-2", null], null]]]])");
  CHECK(out.rows[1].task_id == "after");
  REQUIRE(out.parts.size() == 1);
  CHECK(out.parts[0].part.group_id == "og");
  REQUIRE(out.errbacks.size() == 1);
  CHECK(args(out.errbacks[0]) == Json::array({"body"}));
}

TEST_CASE("a body leaves the errbacks that the chord around it has too to that one") {
  const auto errbacks_of = [](const char* text) {
    return canvas::chord_failure(embed(text), {"why", {}}, sender(), false,
                                 [](const std::string&) { return false; })
        .errbacks.size();
  };
  CHECK(errbacks_of(R"({"task": "b", "args": [], "kwargs": {}, "options": {"task_id": "body",
      "link_error": [{"task": "own"}, {"task": "both"}],
      "chord": {"task": "outer", "options": {"link_error": [{"task": "both"}]}}}})") == 1);
  CHECK(errbacks_of(R"({"task": "celery.chain", "args": [], "subtask_type": "chain", "options":
      {"task_id": "body", "link_error": [{"task": "both"}]}, "kwargs": {"tasks": [{"task": "b", "args": [],
      "kwargs": {}, "options": {"task_id": "last", "chord": {"task": "outer", "options":
      {"link_error": [{"task": "both"}]}}}}]}})") == 0);
}

TEST_CASE("the members of a group as body fail with the part's own exception") {
  Json body =
      embed(R"({"task": "celery.group", "subtask_type": "group", "args": [], "options": {"task_id": "g"},
      "kwargs": {"tasks": [{"task": "b", "args": [], "kwargs": {}, "options": {"task_id": "b1"}}]}})");
  const Aftermath out = canvas::chord_failure(std::move(body), canvas::failed_part("x", embed(boom.c_str())),
                                              sender(), false, [](const std::string&) { return false; });
  REQUIRE(out.rows.size() == 1);
  CHECK(out.rows[0].task_id == "b1");
  CHECK(out.rows[0].result == boom);
}

TEST_CASE("a body that nothing follows is known by its end") {
  CHECK(canvas::nothing_follows(
      R"([[1], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}])"));
  CHECK(!canvas::nothing_follows(
      R"([[1], {}, {"callbacks": null, "errbacks": null, "chain": [], "chord": null}])"));
}

TEST_CASE("a replacement has the task's id, and all that was to follow it") {
  TaskHeaders h = headers();
  h.group = "g";
  h.group_index = 3;
  h.replaced_task_nesting = 1;
  h.stamped_headers = R"(["tenant"])";
  h.stamps = R"({"tenant": "acme"})";
  const Json what = embed(R"({"callbacks": [{"task": "cb"}], "errbacks": null, "chord": {"task": "body"},
                              "chain": [{"task": "c2", "args": [], "kwargs": {}, "options": {"task_id": "c2"}}]})");
  const Json next =
      canvas::replacement(Signature("t.other").json(), h, what, [] { return std::string("fresh"); });
  REQUIRE(next["subtask_type"] == "chain");
  const Json& first = next["kwargs"]["tasks"][0];
  CHECK(first["options"]["task_id"] == "me");
  CHECK(first["options"]["group_id"] == "g");
  CHECK(first["options"]["chord"]["task"] == "body");
  CHECK(first["options"]["replaced_task_nesting"] == 2);
  CHECK(first["options"]["link"][0]["task"] == "cb");
  CHECK(first["options"]["tenant"] == "acme");
  CHECK(next["kwargs"]["tasks"][1]["options"]["task_id"] == "c2");
  CHECK_THROWS_AS(canvas::replacement(chain({}).json(), h, what, [] { return std::string("x"); }), TaskError);
  const Json grouped = canvas::replacement(group({Signature("a"), Signature("b")}).json(), headers(),
                                           Json::object(), [] { return std::string("x"); });
  CHECK(grouped["kwargs"]["body"]["task"] == "celery.accumulate");
  CHECK(grouped["kwargs"]["body"]["options"]["task_id"] == "me");
}
