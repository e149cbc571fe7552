// Events: their bytes, when they leave, and who gets them.
#include "worker/events/event_dispatcher.hpp"
#include "worker/events/heart.hpp"
#include "worker/events/task_events.hpp"

#include "protocol/json.hpp"

#include <doctest/doctest.h>

using namespace celeriac;

namespace {

struct Dispatcher {
  LamportClock clock;
  std::vector<Message> sent;
  bool connected = true;
  int flushes_asked = 0;
  EventDispatcher events;

  explicit Dispatcher(bool task_events, std::size_t most_kept = 10000)
      : events(options(task_events, most_kept), clock,
               {[this](const Message& message) {
                  if (connected) sent.push_back(message);
                  return connected;
                },
                [this] { ++flushes_asked; }}) {}

  static EventDispatcher::Options options(bool task_events, std::size_t most_kept) {
    EventDispatcher::Options o;
    o.node = "w1@host";
    o.pid = 42;
    o.task_events = task_events;
    o.most_kept = most_kept;
    return o;
  }
  Json body(std::size_t i) const { return *parse_json(sent.at(i).body); }
};

TaskHeaders headers() {
  TaskHeaders h;
  h.id = h.root_id = "r-add";
  h.task = "t.add";
  h.argsrepr = "(2, 3)";
  h.kwargsrepr = "{}";
  return h;
}

std::vector<std::string> types(const std::vector<TaskEvent>& events) {
  std::vector<std::string> out;
  for (const auto& event : events) out.emplace_back(event.type);
  return out;
}

}  // namespace

TEST_CASE("a task event is what a Python worker would send, to the byte") {
  Dispatcher d(true);
  for (int i = 0; i < 3; ++i) (void)d.clock.forward();
  const TaskEvent event = received_event(headers(), "(2, 3)", "{}");
  d.events.task(event.type, "r-add", event.fields, 1795172793.671996);
  d.events.flush();
  REQUIRE(d.sent.size() == 1);
  const std::string offset = std::to_string(utc_offset_hours(1795172793));
  CHECK(d.sent[0].body ==
        "[{\"hostname\": \"w1@host\", \"utcoffset\": " + offset +
            ", \"pid\": 42, \"clock\": 4, \"uuid\": \"r-add\", \"name\": \"t.add\", \"args\": \"(2, 3)\", "
            "\"kwargs\": \"{}\", \"root_id\": \"r-add\", \"parent_id\": null, \"retries\": 0, \"eta\": null, "
            "\"expires\": null, \"timestamp\": 1795172793.671996, \"type\": \"task-received\"}]");
  CHECK(d.sent[0].headers == "{\"hostname\": \"w1@host\"}");
  CHECK(d.sent[0].properties.exchange == "celeryev");
  CHECK(d.sent[0].properties.routing_key == "task.multi");
  CHECK(d.sent[0].properties.delivery_mode == 1);
}

TEST_CASE("task events leave at the end of the turn, or 24 at a time") {
  Dispatcher d(true);
  for (int i = 0; i < 30; ++i) d.events.task("task-started", "id", {}, 1);
  CHECK(d.sent.size() == 1);
  CHECK(d.body(0).size() == 24);
  CHECK(d.flushes_asked >= 1);
  d.events.flush();
  REQUIRE(d.sent.size() == 2);
  CHECK(d.body(1).size() == 6);
  CHECK(d.body(1)[0]["clock"] == 25);
}

TEST_CASE("without a connection the newest task events are kept, and leave after it in order") {
  Dispatcher d(true, 50);
  d.connected = false;
  for (int i = 0; i < 60; ++i) d.events.task("task-started", std::to_string(i), {}, 1);
  d.events.worker("worker-heartbeat", {}, 1);
  d.connected = true;
  d.events.flush();
  CHECK(d.events.dropped() == 10);
  REQUIRE(d.sent.size() == 3);
  CHECK(d.body(0)[0]["uuid"] == "10");
  CHECK(d.body(2).size() == 2);
  CHECK(d.body(2)[1]["uuid"] == "59");
}

TEST_CASE("a worker event leaves at once, behind what happened before it") {
  Dispatcher d(true);
  d.events.task("task-started", "a", {}, 1);
  const NodeLoad load{2, 7};
  d.events.worker("worker-heartbeat", worker_fields(2, &load), 5.5);
  REQUIRE(d.sent.size() == 2);
  CHECK(d.sent[1].properties.routing_key == "worker.heartbeat");
  const Json beat = d.body(1);
  CHECK(beat["freq"] == 2.0);
  CHECK(beat["active"] == 2);
  CHECK(beat["processed"] == 7);
  CHECK(beat["loadavg"].size() == 3);
  CHECK(beat["sw_ident"] == "celeriac");
  CHECK(beat["timestamp"] == 5.5);
  CHECK(beat["type"] == "worker-heartbeat");
  CHECK_FALSE(beat.contains("uuid"));
}

TEST_CASE("asked for a heartbeat, a node tells only what it is") {
  const std::string members = worker_fields(5, nullptr).members();
  CHECK(members.find("\"freq\": 5, ") == 0);
  CHECK(members.find("active") == std::string::npos);
}

TEST_CASE("task events are switched on and off, but not those of -E") {
  Dispatcher quiet(false);
  CHECK_FALSE(quiet.events.wants_tasks());
  CHECK_FALSE(quiet.events.disable_tasks());
  CHECK(quiet.events.enable_tasks());
  CHECK_FALSE(quiet.events.enable_tasks());
  CHECK(quiet.events.wants_tasks());
  CHECK(quiet.events.disable_tasks());
  CHECK_FALSE(quiet.events.wants_tasks());

  Dispatcher loud(true);
  CHECK_FALSE(loud.events.enable_tasks());
  CHECK_FALSE(loud.events.disable_tasks());
  CHECK(loud.events.wants_tasks());
}

TEST_CASE("each end of a run is told in Celery's words") {
  Threw threw;
  threw.exception.type = "ValueError";
  threw.exception.args = "[\"boom\"]";
  threw.traceback = "Traceback";
  Lost terminated;
  terminated.signal = 9;
  terminated.terminated = true;
  AskedRetry retry;
  retry.exception = threw.exception;

  const auto of = [](const Outcome& outcome, Verdict verdict, int signal = 0) {
    auto ended = ended_event(outcome, 6, 0.25, signal);
    REQUIRE(ended);
    return settled_events(std::move(*ended), verdict);
  };
  const auto success = of(Returned{"[1, \"x\"]", "", "[]"}, Verdict::ack);
  CHECK(types(success) == std::vector<std::string>{"task-succeeded"});
  CHECK(success[0].fields.members() == "\"result\": \"[1, 'x']\", \"runtime\": 0.25, ");
  const auto failure = of(threw, Verdict::nothing);
  CHECK(types(failure) == std::vector<std::string>{"task-failed"});
  CHECK(failure[0].fields.members() ==
        "\"exception\": \"ValueError('boom')\", \"traceback\": \"Traceback\", ");
  CHECK(types(of(threw, Verdict::bury)) == std::vector<std::string>{"task-rejected", "task-failed"});
  CHECK(types(of(retry, Verdict::ack)) == std::vector<std::string>{"task-retried"});
  CHECK(types(of(Ignored{}, Verdict::ack)).empty());
  CHECK(types(of(Rejected{true, ""}, Verdict::requeue)) == std::vector<std::string>{"task-rejected"});
  CHECK(of(Rejected{true, ""}, Verdict::requeue)[0].fields.members() == "\"requeue\": true, ");
  CHECK(types(of(Rejected{false, ""}, Verdict::nothing)).empty());  // acknowledged before: no effect
  CHECK(of(HardTimeout{2}, Verdict::ack)[0].fields.members() ==
        "\"exception\": \"TimeLimitExceeded(2.0)\", \"traceback\": null, ");
  CHECK(types(of(Lost{}, Verdict::requeue)) == std::vector<std::string>{"task-rejected"});
  CHECK(types(of(Lost{}, Verdict::ack)) == std::vector<std::string>{"task-failed"});
  CHECK(of(terminated, Verdict::nothing, 15)[0].fields.members() ==
        "\"terminated\": true, \"signum\": 15, \"expired\": false, ");
  CHECK_FALSE(ended_event(Undecodable{}, 1, 0, 0));

  const auto unknown = settled_events(unregistered_event("t.x"), Verdict::bury);
  CHECK(types(unknown) == std::vector<std::string>{"task-failed"});
  CHECK(unknown[0].fields.members() == "\"exception\": \"NotRegistered('t.x')\", ");
  CHECK(revoked_event(false, 0, true).fields.members() ==
        "\"terminated\": false, \"signum\": null, \"expired\": true, ");
}

TEST_CASE("the logical clock goes on from the greater of two") {
  LamportClock clock;
  CHECK(clock.forward() == 1);
  clock.adjust(10);
  CHECK(clock.value() == 11);
  clock.adjust(3);
  CHECK(clock.value() == 12);
  clock.adjust(~std::uint64_t{0});
  CHECK(clock.value() == 12);
}
