#include "worker/events/gossip.hpp"

#include <doctest/doctest.h>

#include <memory>

using namespace celeriac;

namespace {

// Nodes whose events everybody hears, in order.
struct Cluster {
  struct Member {
    std::string name;
    int pid;
    std::uint64_t clock;
    std::unique_ptr<Gossip> gossip;
    std::vector<std::string> won, lines;
  };
  std::vector<std::unique_ptr<Member>> members;
  std::deque<Json> events;
  double now = 1000;

  Member& add(const std::string& name, std::uint64_t clock) {
    auto member = std::make_unique<Member>();
    member->name = name, member->pid = 7, member->clock = clock;
    Member* m = member.get();
    Gossip::Outlet outlet;
    outlet.send = [this, m](const char* type,
                            const std::vector<std::pair<std::string, std::string>>& fields) {
      Json event = {{"type", type}, {"hostname", m->name}, {"pid", m->pid}, {"clock", ++m->clock}};
      for (const auto& [key, value] : fields) event[key] = parse_json(value).value();
      events.push_back(std::move(event));
    };
    outlet.win = [m](const std::string& topic, const Json& action) {
      m->won.push_back(topic + " " + dump_json(action));
    };
    outlet.info = outlet.debug = [m](const std::string& line) { m->lines.push_back(line); };
    m->gossip = std::make_unique<Gossip>(name, m->pid, std::move(outlet));
    members.push_back(std::move(member));
    say(name, "worker-online");
    return *members.back();
  }
  void say(const std::string& host, const char* type) {
    events.push_back({{"type", type}, {"hostname", host}, {"pid", 7}, {"clock", 1u}, {"freq", 2.0}});
  }
  void settle() {
    while (!events.empty()) {
      const Json event = std::move(events.front());
      events.pop_front();
      for (auto& member : members) member->gossip->on_event(event, now);
    }
  }
};

}  // namespace

TEST_CASE("election: the lowest clock wins, once, and the others know who") {
  Cluster cluster;
  auto &a = cluster.add("a@h", 50), &b = cluster.add("b@h", 20), &c = cluster.add("c@h", 30);
  for (auto& member : cluster.members) cluster.say(member->name, "worker-heartbeat");
  cluster.settle();
  CHECK(a.gossip->nodes() == 3);
  for (auto& member : cluster.members) member->gossip->elect("e1", "task", {{"task", "t.add"}});
  cluster.settle();
  CHECK(b.won == std::vector<std::string>{"task {\"task\": \"t.add\"}"});
  CHECK(a.won.empty());
  CHECK(c.won.empty());
  CHECK(a.lines.back() == "node b@h.7 elected for 'e1'");
}

TEST_CASE("election: names decide between equal clocks; one node alone elects itself") {
  Cluster cluster;
  auto &a = cluster.add("b@h", 5), &b = cluster.add("a@h", 5);
  for (auto& member : cluster.members) cluster.say(member->name, "worker-heartbeat");
  cluster.settle();
  for (auto& member : cluster.members) member->gossip->elect("e", "task", nullptr);
  cluster.settle();
  CHECK(a.won.empty());
  CHECK(b.won.size() == 1);

  Cluster one;
  auto& alone = one.add("x@h", 1);
  one.settle();
  alone.gossip->elect("e", "task", nullptr);
  one.settle();
  CHECK(alone.won.size() == 1);
}

TEST_CASE("gossip: who falls silent is missed, who says goodbye is not") {
  Cluster cluster;
  auto& a = cluster.add("a@h", 1);
  cluster.say("b@h", "worker-online");
  cluster.say("c@h", "worker-online");
  cluster.settle();
  CHECK(a.gossip->nodes() == 3);
  cluster.say("c@h", "worker-offline");
  cluster.settle();
  a.gossip->look_for_silent(cluster.now + 4);
  CHECK(a.gossip->nodes() == 2);
  a.gossip->look_for_silent(cluster.now + 4.1);
  CHECK(a.gossip->nodes() == 1);  // itself stays
  CHECK(a.lines.back() == "missed heartbeat from b@h");
}

TEST_CASE("gossip: malformed events do no harm") {
  Cluster cluster;
  auto& a = cluster.add("a@h", 1);
  cluster.settle();
  for (const char* bad :
       {"[]", "5", "{}", R"({"type": 5, "hostname": "b"})", R"({"type": "worker-online"})",
        R"({"type": "worker-online", "hostname": "b", "freq": "x"})",
        R"({"type": "worker-elect", "hostname": "b"})",
        R"({"type": "worker-elect", "hostname": "b", "id": "1", "topic": "t", "clock": -1, "pid": 1})",
        R"({"type": "worker-elect-ack", "hostname": "b"})",
        R"({"type": "worker-elect-ack", "hostname": "b", "id": "no"})"})
    a.gossip->on_event(parse_json(bad).value(), 1000);
  CHECK(a.won.empty());
  for (int i = 0; i < 3000; ++i) a.gossip->elect(std::to_string(i), "task", nullptr);  // bounded
  cluster.settle();
}
