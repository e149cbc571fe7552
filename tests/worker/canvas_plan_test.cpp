// What compositions send, against the bytes Celery 5.6's client sends for the same ones.
#include "worker/canvas/canvas.hpp"
#include "worker/canvas/plan.hpp"
#include "worker/canvas/signature.hpp"

#include <doctest/doctest.h>

#include <deque>

using namespace celeriac;
using canvas::ChordSize;
using canvas::Plan;
using canvas::SaveGroup;
using canvas::Sender;
using canvas::Step;

namespace {

// A client that makes these ids, then id-1, id-2, ...
Sender client(std::deque<std::string> ids = {}) {
  Sender sender;
  sender.reply_to = "da0dbbe7-d824-397d-884e-02916db62711";
  sender.now = 1000;
  sender.new_id = [ids = std::move(ids), n = 0]() mutable {
    if (ids.empty()) return "id-" + std::to_string(++n);
    std::string id = ids.front();
    ids.pop_front();
    return id;
  };
  return sender;
}

const Outgoing& message(const Step& step) { return std::get<Outgoing>(step); }
const std::string& body(const Step& step) { return message(step).message.body; }
Json header(const Step& step, const char* name) {
  return parse_json(message(step).message.headers).value()[name];
}

Signature add(Json x, Json y) { return Signature("t.add", {std::move(x), std::move(y)}); }
Signature mul(Json x) { return Signature("t.mul", {std::move(x)}); }

Json options(const char* name, Json value) {
  Json all = Json::object();
  all[name] = std::move(value);
  return all;
}

Json apply(Plan& plan, const Signature& signature, const Json& with = Json::object()) {
  return plan.apply(signature.json(), Json::array(), Json::object(), with);
}

}  // namespace

TEST_CASE("a chain sends its first step, which carries the others in reverse") {
  Plan plan(client({"82dd2187-e993-4457-805b-57bd294e3652", "51d338f8-0658-4e45-b802-0ff924946534"}));
  const Json result = apply(plan, chain({add(1, 1), mul(3), mul(5)}), options("task_id", "id-chain"));
  REQUIRE(plan.steps().size() == 1);
  CHECK(
      body(plan.steps()[0]) ==
      R"([[1, 1], {}, {"callbacks": null, "errbacks": null, "chain": [{"task": "t.mul", "args": [5], "kwargs": {}, "options": {"task_id": "id-chain", "reply_to": "da0dbbe7-d824-397d-884e-02916db62711"}, "subtask_type": null, "immutable": false}, {"task": "t.mul", "args": [3], "kwargs": {}, "options": {"task_id": "82dd2187-e993-4457-805b-57bd294e3652", "reply_to": "da0dbbe7-d824-397d-884e-02916db62711"}, "subtask_type": null, "immutable": false}], "chord": null}])");
  CHECK(header(plan.steps()[0], "id") == "51d338f8-0658-4e45-b802-0ff924946534");
  CHECK(header(plan.steps()[0], "root_id") == "51d338f8-0658-4e45-b802-0ff924946534");
  CHECK(header(plan.steps()[0], "argsrepr") == "(1, 1)");
  CHECK(
      dump_json(result) ==
      R"([["id-chain", [["82dd2187-e993-4457-805b-57bd294e3652", [["51d338f8-0658-4e45-b802-0ff924946534", null], null]], null]], null])");
  CHECK(dump_json(plan.children()) == R"([[["51d338f8-0658-4e45-b802-0ff924946534", null], null]])");
}

TEST_CASE("a group sends its members with their places") {
  Plan plan(client({"15773dd4", "35f1839d", "c4e02ec6"}));
  const Json result = apply(plan, group({add(1, 1), add(2, 2)}));
  REQUIRE(plan.steps().size() == 2);
  CHECK(body(plan.steps()[0]) ==
        R"([[1, 1], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}])");
  CHECK(header(plan.steps()[1], "id") == "c4e02ec6");
  CHECK(header(plan.steps()[1], "group") == "15773dd4");
  CHECK(header(plan.steps()[1], "group_index") == 1);
  CHECK(dump_json(result) ==
        R"([["15773dd4", null], [[["35f1839d", null], null], [["c4e02ec6", null], null]]])");
  CHECK(plan.children() == Json::array({result}));
}

TEST_CASE("a chord's header carries its body, and the size is known before the last message") {
  Plan plan(client({"e800f68b-8df5-4e96-a03f-0fd573f440df", "b52e7f10-5e27-4f4e-8e71-f0942dc692eb"}));
  const Json result = apply(plan, chord({add(1, 1), add(2, 2)}, Signature("t.tsum")));
  REQUIRE(plan.steps().size() == 3);
  CHECK(
      body(plan.steps()[0]) ==
      R"([[1, 1], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": {"task": "t.tsum", "args": [], "kwargs": {}, "options": {"task_id": "b52e7f10-5e27-4f4e-8e71-f0942dc692eb", "reply_to": "da0dbbe7-d824-397d-884e-02916db62711", "group_id": "e800f68b-8df5-4e96-a03f-0fd573f440df"}, "subtask_type": null, "immutable": false}}])");
  const auto& size = std::get<ChordSize>(plan.steps()[1]);
  CHECK(size.group_id == "e800f68b-8df5-4e96-a03f-0fd573f440df");
  CHECK(size.size == 2);
  CHECK(header(plan.steps()[2], "group_index") == 1);
  CHECK(result[0][0] == "b52e7f10-5e27-4f4e-8e71-f0942dc692eb");
  CHECK(result[0][1][0][0] == "e800f68b-8df5-4e96-a03f-0fd573f440df");
}

TEST_CASE("where the store does not count, a task asks for the parts") {
  Sender sender = client();
  sender.native_chords = false;
  Plan plan(sender);
  apply(plan, chord({add(1, 1)}, Signature("t.tsum").set("queue", "sums")));
  REQUIRE(plan.steps().size() == 2);
  CHECK(header(plan.steps()[0], "task") == "celery.chord_unlock");
  CHECK(header(plan.steps()[0], "ignore_result") == true);
  CHECK(header(plan.steps()[0], "eta") == "1970-01-01T00:16:41+00:00");
  CHECK(message(plan.steps()[0]).queue == "sums");
  CHECK(body(plan.steps()[1]).find("\"chord\": null") != std::string::npos);
}

TEST_CASE("a group followed by a task is a chord, wherever it stands in a chain") {
  Plan plan(client());
  const Json result = apply(plan, chain({add(1, 1), group({mul(2), mul(3)}), Signature("t.tsum"), mul(10)}));
  REQUIRE(plan.steps().size() == 1);
  const Json embed = parse_json(body(plan.steps()[0])).value()[2];
  REQUIRE(embed["chain"].size() == 2);
  CHECK(embed["chain"][0]["task"] == "t.mul");
  CHECK(embed["chain"][1]["subtask_type"] == "chord");
  // mul <- tsum <- the group <- add
  const Json& tsum = result[0][1];
  const Json& members = tsum[0][1];
  CHECK(members[1].size() == 2);
  CHECK(members[0][1][0][0] == header(plan.steps()[0], "id"));
}

TEST_CASE("an empty header sends the body at once") {
  Plan plan(client());
  apply(plan, chord({}, Signature("t.tsum")));
  REQUIRE(plan.steps().size() == 1);
  CHECK(parse_json(body(plan.steps()[0])).value()[0] == Json::array({Json::array()}));
}

TEST_CASE("nested results are saved, and counted where they end") {
  Plan plan(client());
  apply(plan,
        chord({group({add(1, 1), chain({add(1, 1), mul(2)})}), chord({mul(1)}, group({mul(2), mul(3)}))},
              Signature("t.tsum")));
  std::int64_t outer = 0, saved = 0;
  for (const Step& step : plan.steps()) {
    if (const auto* size = std::get_if<ChordSize>(&step)) outer = std::max(outer, size->size);
    saved += std::holds_alternative<SaveGroup>(step);
  }
  CHECK(outer == 4);  // add, the chain's end, and both members of the inner chord's body
  CHECK(saved == 1);
}

TEST_CASE("freezing gives ids that applying keeps") {
  Json signature = chain({add(1, 1), group({mul(2), mul(3)}), Signature("t.tsum"), mul(10)}).json();
  const Sender sender = client();
  Plan frozen(sender);
  const Json promised = frozen.freeze(signature, Json::object());
  Sender other = client({});
  other.new_id = [] { return "new"; };
  Plan plan(other);
  CHECK(plan.apply(signature) == promised);
}

TEST_CASE("callbacks and errbacks go where a composition keeps them") {
  const Signature done("t.done"), alarm("t.alarm");
  Plan plan(client());
  apply(plan, chain({add(1, 1), mul(2)}).link(done).on_error(alarm));
  const Json embed = parse_json(body(plan.steps()[0])).value()[2];
  CHECK(embed["callbacks"].is_null());
  CHECK(embed["errbacks"].size() == 1);
  CHECK(embed["chain"][0]["options"]["link"][0]["task"] == "t.done");
  CHECK(embed["chain"][0]["options"]["link_error"][0]["task"] == "t.alarm");
  CHECK(chord({mul(1)}, mul(2)).on_error(alarm).json()["kwargs"]["body"]["options"].contains("link_error"));
  CHECK(
      group({mul(1), mul(2)}).on_error(alarm).json()["kwargs"]["tasks"][1]["options"].contains("link_error"));
}

TEST_CASE("a signature off the wire is checked whole") {
  const auto refused = [](const char* text) {
    Json signature = parse_json(text).value();
    const auto ok = canvas::check_signature(signature);
    return ok ? std::string() : ok.error().what;
  };
  CHECK(refused(R"({"task": "a"})").empty());
  CHECK(refused(R"({"task": "a", "args": {}})") == "signature.args is not a list");
  CHECK(refused(R"({"task": "c", "subtask_type": "chain", "kwargs": {"tasks": [{"args": []}]}})") ==
        "signature.tasks[0] is no signature: it has no task name");
  CHECK(!refused(R"({"task": "c", "subtask_type": "chord", "kwargs": {"header": {"subtask_type": "group",
                  "kwargs": 5}, "body": {"task": "b"}}})")
             .empty());
  CHECK(!refused(R"({"task": "a", "options": {"chain": [5]}})").empty());
  std::string deep = R"({"task": "a"})";
  for (int i = 0; i < 100; ++i)
    deep = R"({"task": "c", "subtask_type": "chain", "kwargs": {"tasks": [)" + deep + "]}}";
  CHECK(refused(deep.c_str()).find("nested too deeply") != std::string::npos);
}

TEST_CASE(
    "a chord further on in a chain names the group of its parts once, where every Celery looks for it") {
  Plan plan(client());
  apply(plan, chain({add(1, 1), group({mul(2), mul(3)}), Signature("t.tsum")}));
  REQUIRE(plan.steps().size() == 1);
  const Json next = parse_json(body(plan.steps()[0])).value()[2]["chain"][0];
  const Json& parts = next["kwargs"]["header"];
  CHECK(parts["subtask_type"] == "group");
  CHECK(parts["options"]["task_id"] == next["options"]["task_id"]);
  for (const Json& part : parts["kwargs"]["tasks"]) CHECK_FALSE(part["options"].contains("group_id"));
}
