// What the AMQP broker decides without a server: the keys of delayed delivery, and lost deliveries that
// return.
#include "queues/amqp/delayed_delivery.hpp"
#include "queues/amqp/lost_deliveries.hpp"

#include <doctest/doctest.h>

namespace celeriac::amqp {
namespace {

Message message(const std::string& headers) {
  Message out;
  out.headers = headers;
  out.body = "[[], {}, {}]";
  out.properties.correlation_id = "1";
  return out;
}

const Message sent = message(R"({"task": "t", "id": "1", "retries": 0})");

TEST_CASE("a delay is written in front of the routing key, bit by bit, and taken off again") {
  const std::string three = delayed::routing_key(3, "far");
  CHECK(three == "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.1.far");
  CHECK(delayed::plain_key(three) == "far");
  CHECK(delayed::plain_key(delayed::routing_key(delayed::most_seconds, "a.b.c")) == "a.b.c");
  CHECK(delayed::plain_key("far") == "far");
  CHECK(delayed::plain_key("0.1.far") == "0.1.far");
  CHECK(delayed::plain_key("") == "");
  const std::string bits_alone = delayed::routing_key(5, "");
  CHECK(delayed::plain_key(bits_alone) == bits_alone);
}

TEST_CASE("what was decided while a message was away is told once, when it comes back") {
  LostDeliveries lost;
  CHECK_FALSE(lost.returned(sent).known);
  lost.add(7, sent, std::nullopt);
  CHECK(lost.decide(7, {Verdict::What::discard, {}}));
  CHECK(lost.decided() == 1);
  const auto back = lost.returned(sent);
  CHECK(back.known);
  REQUIRE(back.verdict);
  CHECK(back.verdict->what == Verdict::What::discard);
  CHECK(lost.size() == 0);
  CHECK(lost.decided() == 0);
  CHECK_FALSE(lost.returned(sent).known);
}

TEST_CASE("a message whose task still runs is known, and the worker's") {
  LostDeliveries lost;
  lost.add(7, sent, std::nullopt);
  const auto back = lost.returned(sent);
  CHECK(back.known);
  CHECK_FALSE(back.verdict);
  CHECK_FALSE(lost.decide(7, {}));  // it is back: the worker settles the new delivery
}

TEST_CASE("marks of the server and another order of headers make no other message; a retry is one") {
  LostDeliveries lost;
  lost.add(7, sent, Verdict{});
  CHECK_FALSE(lost.returned(message(R"({"task": "t", "id": "1", "retries": 1})")).known);
  CHECK(lost.returned(message(R"({"id": "1", "retries": 0, "task": "t", "x-delivery-count": 3})")).known);
}

TEST_CASE("beyond its bound the oldest are forgotten") {
  LostDeliveries lost(2);
  for (Tag tag = 1; tag <= 3; ++tag)
    lost.add(tag, message(R"({"id": ")" + std::to_string(tag) + R"("})"), Verdict{});
  CHECK(lost.size() == 2);
  CHECK_FALSE(lost.returned(message(R"({"id": "1"})")).known);
  CHECK(lost.returned(message(R"({"id": "3"})")).known);
}

}  // namespace
}  // namespace celeriac::amqp
