#include "tests/queues/broker_conformance.hpp"

#include "protocol/envelope.hpp"
#include "tests/queues/loop.hpp"

#include <doctest/doctest.h>
#include <algorithm>
#include <deque>
#include <map>
#include <set>

namespace celeriac::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Message task(const std::string& id, const std::string& queue = "q", std::optional<int> priority = 0) {
  Message message;
  message.headers = R"({"task": "t.add", "id": ")" + id + "\"}";
  message.body = "[[], {}, {}]";
  message.properties.correlation_id = id;
  message.properties.routing_key = queue;
  message.properties.priority = priority;
  return message;
}

// A broker with everything it told us.
struct Client {
  Client(BrokerFixture& fixture_in, unsigned window, std::vector<std::string> queues = {"q"})
      : fixture(fixture_in) {
    begin();
    broker->set_window(window);
    broker->consume(std::move(queues));
  }
  explicit Client(BrokerFixture& fixture_in) : fixture(fixture_in) { begin(); }  // publishes only

  void begin() {
    broker = fixture.make();
    Broker::Handlers handlers;
    handlers.on_deliveries = [this](std::vector<Delivery>&& batch) {
      for (auto& delivery : batch) {
        if (ack_all) broker->ack(delivery.tag);
        ids.push_back(delivery.message.properties.correlation_id);
        got.push_back(std::move(delivery));
      }
    };
    handlers.on_state = [this](BrokerState state, const std::string&) { states.push_back(state); };
    handlers.on_taken = [this](const std::vector<Tag>& tags) { taken += tags.size(); };
    broker->start(std::move(handlers));
  }

  bool wait(std::size_t count, milliseconds timeout = seconds(10)) {
    return run_until(
        fixture.io, [&] { return got.size() >= count; }, timeout);
  }
  void publish(const std::string& id, const std::string& queue = "q", std::optional<int> priority = 0) {
    publish(task(id, queue, priority));
  }
  void publish(Message message) {
    broker->publish(std::move(message), [this](const Status& status) {
      CHECK(status.what == "");
      ++published;
    });
  }
  void flush() {
    bool done = false;
    broker->flush([&](const Status& status) { done = status.ok(); });
    REQUIRE(run_until(fixture.io, [&] { return done; }));
  }
  std::size_t stop() {
    std::optional<std::size_t> restored;
    broker->stop([&](std::size_t count) { restored = count; });
    REQUIRE(run_until(fixture.io, [&] { return restored.has_value(); }));
    broker.reset();
    return *restored;
  }
  QueueInfo info(const std::string& queue = "q") {
    std::optional<Expected<std::vector<QueueInfo>>> answer;
    broker->inspect({queue}, [&](Expected<std::vector<QueueInfo>> result) { answer = std::move(result); });
    REQUIRE(run_until(fixture.io, [&] { return answer.has_value(); }));
    REQUIRE(answer->has_value());
    REQUIRE((*answer)->size() == 1);
    return (*answer)->front();
  }

  BrokerFixture& fixture;
  std::unique_ptr<Broker> broker;
  std::deque<Delivery> got;
  std::vector<std::string> ids;
  std::vector<BrokerState> states;
  std::size_t published = 0, taken = 0;
  bool ack_all = false;
};

std::vector<std::string> numbered(int first, int last) {
  std::vector<std::string> names;
  for (int i = first; i <= last; ++i) names.push_back(std::to_string(i));
  return names;
}

void publish_numbers(BrokerFixture& fixture, int first, int last, const std::string& queue = "q") {
  Client producer(fixture);
  for (auto& name : numbered(first, last)) producer.publish(name, queue);
  producer.flush();
  CHECK(producer.published == static_cast<std::size_t>(last - first + 1));
  producer.stop();
}

void order_and_window(BrokerFixture& fixture) {
  SUBCASE("messages come in the order of publishing, whole") {
    publish_numbers(fixture, 1, 500);
    Client client(fixture, 0);
    REQUIRE(client.wait(500));
    CHECK(client.ids == numbered(1, 500));
    CHECK(client.got[0].queue == "q");
    CHECK(client.got[0].message.body == "[[], {}, {}]");
    CHECK(client.got[0].message.headers == R"({"task": "t.add", "id": "1"})");
    CHECK_FALSE(client.got[0].redelivered);
    CHECK_FALSE(client.got[0].deferred);
  }
  SUBCASE("no more than the window is unsettled") {
    publish_numbers(fixture, 1, 50);
    Client client(fixture, 8);
    REQUIRE(client.wait(8));
    run_for(fixture.io, milliseconds(200));
    CHECK(client.got.size() == 8);
    client.broker->ack(client.got[0].tag);
    REQUIRE(client.wait(9));
    run_for(fixture.io, milliseconds(100));
    CHECK(client.got.size() == 9);
    client.broker->set_window(20);
    REQUIRE(client.wait(21));
    run_for(fixture.io, milliseconds(100));
    if (fixture.strict_window) CHECK(client.got.size() == 21);
  }
  SUBCASE("a waiting consumer gets a message at once") {
    Client client(fixture, 4), producer(fixture);
    run_for(fixture.io, milliseconds(300));
    const auto sent = std::chrono::steady_clock::now();
    producer.publish("late");
    REQUIRE(client.wait(1));
    CHECK(std::chrono::steady_clock::now() - sent < milliseconds(200));
  }
  SUBCASE("the more urgent priority first, across queues") {
    if (!fixture.has_priorities) return;
    const int urgent = fixture.lower_number_first ? 0 : 9, lazy = fixture.lower_number_first ? 9 : 0;
    Client producer(fixture);
    producer.publish("lazy", "q", lazy);
    producer.publish("middle", "q", 4);
    producer.publish("urgent", "q", urgent);
    producer.flush();
    Client client(fixture, 1);
    client.ack_all = true;
    REQUIRE(client.wait(3));
    CHECK(client.ids == std::vector<std::string>{"urgent", "middle", "lazy"});
  }
  SUBCASE("queues no longer named are left alone") {
    Client client(fixture, 10, {"q", "other"}), producer(fixture);
    producer.publish("a", "other");
    REQUIRE(client.wait(1));
    CHECK(client.got[0].queue == "other");
    client.broker->consume({"q"});
    client.flush();
    run_for(fixture.io, milliseconds(50));
    producer.publish("b", "other");
    producer.publish("c", "q");
    REQUIRE(client.wait(2));
    run_for(fixture.io, milliseconds(100));
    CHECK(client.ids == std::vector<std::string>{"a", "c"});
  }
  SUBCASE("pause ends deliveries, acks still work") {
    Client client(fixture, 10), producer(fixture);
    producer.publish("a");
    REQUIRE(client.wait(1));
    client.broker->pause();
    producer.publish("b");
    producer.flush();
    run_for(fixture.io, milliseconds(100));
    CHECK(client.got.size() == 1);
    client.broker->ack(client.got[0].tag);
    CHECK(client.stop() == 0);
    CHECK(producer.info().ready == 1);
  }
}

void settling(BrokerFixture& fixture) {
  SUBCASE("what is acked is gone, what is not comes back after stop in its order, marked") {
    publish_numbers(fixture, 1, 10);
    Client client(fixture, 10);
    REQUIRE(client.wait(10));
    for (int i : {0, 1, 4}) client.broker->ack(client.got[static_cast<std::size_t>(i)].tag);
    CHECK(client.stop() == 7);
    Client next(fixture, 10);
    REQUIRE(next.wait(7));
    CHECK(next.ids == std::vector<std::string>{"3", "4", "6", "7", "8", "9", "10"});
    CHECK(next.got[0].redelivered);
    CHECK(next.got[0].message.body == "[[], {}, {}]");
    run_for(fixture.io, milliseconds(100));
    CHECK(next.got.size() == 7);
  }
  SUBCASE("what began is gone a moment later by itself, and with a stop, and makes room at once") {
    publish_numbers(fixture, 1, 3);
    Client client(fixture, 1);
    REQUIRE(client.wait(1));
    client.broker->ack_begun(client.got[0].tag);
    REQUIRE(client.wait(2));
    CHECK(run_until(fixture.io, [&] { return client.info().unacked == 1; }));
    client.broker->ack_begun(client.got[1].tag);
    REQUIRE(client.wait(3));
    client.broker->ack_begun(client.got[2].tag);
    CHECK(client.stop() == 0);
    Client next(fixture, 10);
    run_for(fixture.io, milliseconds(100));
    CHECK(next.got.empty());
  }
  SUBCASE("restored messages are delivered before those that wait") {
    publish_numbers(fixture, 1, 6);
    Client client(fixture, 3);
    REQUIRE(client.wait(3));
    CHECK(client.stop() == 3);
    Client next(fixture, 10);
    REQUIRE(next.wait(6));
    CHECK(next.ids == numbered(1, 6));
  }
  SUBCASE("unsettled messages of a dead worker come back") {
    publish_numbers(fixture, 1, 20);
    auto client = std::make_unique<Client>(fixture, 10);
    REQUIRE(client->wait(10));
    client->broker->ack(client->got[0].tag);
    client->flush();
    client->broker.reset();  // no stop(): as if killed
    Client next(fixture, 30);
    REQUIRE(next.wait(19, fixture.recovery + seconds(5)));
    run_for(fixture.io, milliseconds(300));
    std::set<std::string> seen(next.ids.begin(), next.ids.end());
    CHECK(next.got.size() == 19);
    CHECK(seen.size() == 19);
    CHECK(seen.count("1") == 0);
    for (auto& delivery : next.got) {
      const int number = std::stoi(delivery.message.properties.correlation_id);
      if (number == 11) continue;  // perhaps delivered in place of the acked one
      CHECK(delivery.redelivered == (number <= 10));
    }
  }
  SUBCASE("reject: dropped, or back for another try") {
    publish_numbers(fixture, 1, 2);
    Client client(fixture, 1);
    REQUIRE(client.wait(1));
    client.broker->reject(client.got[0].tag, Requeue::no);
    REQUIRE(client.wait(2));
    client.broker->reject(client.got[1].tag, Requeue::yes);
    REQUIRE(client.wait(3));
    CHECK(client.ids == std::vector<std::string>{"1", "2", "2"});
    CHECK(client.got[2].redelivered);
    client.broker->ack(client.got[2].tag);
    client.flush();
    const auto info = client.info();
    CHECK(info.ready == 0);
    CHECK(info.unacked == 0);
  }
  SUBCASE("settling twice does no harm") {
    publish_numbers(fixture, 1, 2);
    Client client(fixture, 2);
    REQUIRE(client.wait(2));
    client.broker->ack(client.got[0].tag);
    client.broker->ack(client.got[0].tag);
    client.broker->reject(client.got[0].tag, Requeue::yes);
    client.flush();
    CHECK(client.stop() == 1);
  }
  SUBCASE("bury keeps the exact bytes") {
    auto message = task("doomed");
    message.properties.delivery_tag = "11111111-2222-4333-8444-555555555555";
    const auto bytes = encode_envelope(message);
    fixture.push_raw("q", bytes);
    Client client(fixture, 2);
    REQUIRE(client.wait(1));
    client.broker->bury(client.got[0].tag, {"failed", "it broke", "t.add", "doomed", "w@host"});
    client.flush();
    CHECK(fixture.dead_letters() == std::vector<std::string>{bytes});
    const auto info = client.info();
    CHECK(info.dead == 1);
    CHECK(info.unacked == 0);
    CHECK(client.stop() == 0);
  }
  SUBCASE("items that are no envelope are delivered with an error and can be buried") {
    const std::vector<std::string> bad = {"garbage",     "",    std::string("\0\xff{", 3),
                                          "{\"body\": ", "{}}", "[1, 2]"};
    for (auto& bytes : bad) fixture.push_unreadable("q", bytes);
    publish_numbers(fixture, 1, 1);
    Client client(fixture, 10);
    REQUIRE(client.wait(bad.size() + 1));
    for (auto& delivery : client.got) {
      if (delivery.error.empty()) continue;
      CHECK(delivery.queue == "q");
      client.broker->bury(delivery.tag, {"undecodable", delivery.error, "", "", "w@host"});
    }
    client.flush();
    auto kept = fixture.dead_letters();
    auto expected = bad;
    std::sort(kept.begin(), kept.end());
    std::sort(expected.begin(), expected.end());
    CHECK(kept == expected);
    CHECK(client.ids.back() == "1");
  }
  SUBCASE("bad items held at stop go back as they are") {
    fixture.push_unreadable("q", "garbage");
    Client client(fixture, 10);
    REQUIRE(client.wait(1));
    CHECK(client.stop() == 1);
    Client next(fixture, 10);
    REQUIRE(next.wait(1));
    CHECK_FALSE(next.got[0].error.empty());
    next.broker->bury(next.got[0].tag, {"undecodable", "", "", "", ""});
    next.flush();
    CHECK(fixture.dead_letters() == std::vector<std::string>{"garbage"});
  }
}

void deferring(BrokerFixture& fixture) {
  SUBCASE("a deferred message comes again when it is due, and takes no room meanwhile") {
    publish_numbers(fixture, 1, 3);
    Client client(fixture, 1);
    REQUIRE(client.wait(1));
    const auto tag = client.got[0].tag;
    const auto due = Clock::now() + milliseconds(400);
    client.broker->defer(tag, due);
    REQUIRE(client.wait(2));
    CHECK(client.ids[1] == "2");
    const auto info = client.info();
    CHECK(info.delayed == 1);
    CHECK(info.unacked == 1);
    REQUIRE(client.wait(3));
    CHECK(Clock::now() >= due);
    CHECK(Clock::now() < due + milliseconds(300));
    CHECK(client.ids[2] == "1");
    CHECK(client.got[2].tag == tag);
    CHECK(client.got[2].deferred);
    client.ack_all = true;
    client.broker->ack(tag);
    client.broker->ack(client.got[1].tag);
    REQUIRE(client.wait(4));
    client.flush();
    CHECK(client.info().unacked == 0);
  }
  SUBCASE("due in the past: at once") {
    publish_numbers(fixture, 1, 1);
    Client client(fixture, 1);
    REQUIRE(client.wait(1));
    client.broker->defer(client.got[0].tag, Clock::now() - seconds(10));
    REQUIRE(client.wait(2, seconds(2)));
    CHECK(client.got[1].deferred);
  }
  SUBCASE("stop gives deferred messages back") {
    publish_numbers(fixture, 1, 100);
    Client client(fixture, 200);
    REQUIRE(client.wait(100));
    for (auto& delivery : client.got)
      client.broker->defer(delivery.tag, Clock::now() + std::chrono::hours(5));
    CHECK(client.stop() == 100);
    Client next(fixture, 200);
    REQUIRE(next.wait(100));
    CHECK(next.ids == numbered(1, 100));
  }
  SUBCASE("deferred messages of a dead worker come back") {
    publish_numbers(fixture, 1, 5);
    Client client(fixture, 10);
    REQUIRE(client.wait(5));
    for (auto& delivery : client.got)
      client.broker->defer(delivery.tag, Clock::now() + std::chrono::hours(5));
    client.flush();
    client.broker.reset();
    Client next(fixture, 10);
    REQUIRE(next.wait(5, fixture.recovery + seconds(5)));
    CHECK(next.got[0].redelivered);
  }
}

void housekeeping(BrokerFixture& fixture) {
  SUBCASE("purge drops what is ready and leaves the unsettled") {
    publish_numbers(fixture, 1, 10);
    Client client(fixture, 3);
    REQUIRE(client.wait(3));
    std::optional<std::uint64_t> dropped;
    client.broker->purge("q", [&](Expected<std::uint64_t> count) { dropped = count.value_or(999); });
    REQUIRE(run_until(fixture.io, [&] { return dropped.has_value(); }));
    CHECK(*dropped == 7);
    CHECK(client.info().ready == 0);
    CHECK(client.stop() == 3);
  }
  SUBCASE("a ping is answered, with and without consuming") {
    Client producer(fixture), consumer(fixture, 64);
    for (auto* client : {&producer, &consumer}) {
      std::optional<Status> answer;
      client->broker->ping([&](const Status& status) { answer = status; });
      REQUIRE(run_until(fixture.io, [&] { return answer.has_value(); }));
      CHECK(answer->what == "");
    }
  }
  SUBCASE("inspect tells sizes by priority") {
    Client producer(fixture);
    producer.publish("a", "q", 0);
    producer.publish("b", "q", 9);
    producer.publish("c", "q", 9);
    producer.flush();
    const auto info = producer.info();
    CHECK(info.name == "q");
    CHECK(info.ready == 3);
    CHECK(producer.info("absent").ready == 0);
  }
  SUBCASE("bodies of a megabyte, and a batch of large ones") {
    Client producer(fixture);
    std::map<std::string, std::string> bodies;
    for (int i = 0; i < 8; ++i) {
      auto message = task("big" + std::to_string(i));
      message.body = std::string((i % 2 ? 1u << 20 : 100000u), static_cast<char>('a' + i));
      bodies[message.properties.correlation_id] = message.body;
      producer.publish(std::move(message));
    }
    producer.publish("small");
    producer.flush();
    Client client(fixture, 64);
    REQUIRE(client.wait(9));
    for (auto& delivery : client.got) {
      if (delivery.message.properties.correlation_id != "small")
        CHECK(delivery.message.body == bodies[delivery.message.properties.correlation_id]);
      client.broker->ack(delivery.tag);
    }
    CHECK(client.ids.back() == "small");
    client.flush();
    CHECK(client.info().unacked == 0);
  }
  SUBCASE("flush comes after what was asked for before") {
    publish_numbers(fixture, 1, 100);
    Client client(fixture, 0);
    REQUIRE(client.wait(100));
    for (auto& delivery : client.got) client.broker->ack(delivery.tag);
    client.flush();
    Client other(fixture);
    CHECK(other.info().unacked == 0);
  }
}

void losses(BrokerFixture& fixture) {
  SUBCASE("publishing before and without a connection waits for it") {
    Client producer(fixture);
    producer.publish("before");
    producer.flush();
    fixture.cut_connections();
    producer.publish("during");
    producer.flush();
    CHECK(producer.published == 2);
    Client client(fixture, 10);
    client.ack_all = true;
    REQUIRE(client.wait(2));
    CHECK(std::set<std::string>(client.ids.begin(), client.ids.end()) ==
          std::set<std::string>{"before", "during"});
  }
  SUBCASE("cut connections under load lose nothing") {
    Client client(fixture, 32), producer(fixture);
    client.ack_all = true;
    constexpr int total = 4000;
    for (int i = 1; i <= total; ++i) {
      producer.publish(std::to_string(i));
      if (i % 500 == 250) fixture.cut_connections();
      if (i % 50 == 0) run_for(fixture.io, milliseconds(1));
    }
    std::set<std::string> seen;
    REQUIRE(run_until(
        fixture.io,
        [&] {
          while (!client.ids.empty()) seen.insert(client.ids.back()), client.ids.pop_back();
          return seen.size() == total;
        },
        seconds(30)));
    producer.flush();
    client.flush();
    CHECK(producer.published == total);
    CHECK(std::count(client.states.begin(), client.states.end(), BrokerState::lost) >= 1);
    CHECK(client.stop() <= 32);
  }
  SUBCASE("acks given while cut off are kept") {
    publish_numbers(fixture, 1, 10);
    Client client(fixture, 10);
    REQUIRE(client.wait(10));
    fixture.cut_connections();
    for (auto& delivery : client.got) client.broker->ack(delivery.tag);
    client.flush();
    CHECK(client.info().unacked == 0);
    CHECK(client.info().ready == 0);
  }
}

}  // namespace

void broker_conformance(BrokerFixture& fixture) {
  order_and_window(fixture);
  settling(fixture);
  deferring(fixture);
  housekeeping(fixture);
  losses(fixture);
}

}  // namespace celeriac::testing
