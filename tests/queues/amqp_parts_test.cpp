// What the AMQP broker decides without a server: the keys of delayed delivery, and lost deliveries that
// return.
#include "queues/amqp/dead_letters.hpp"
#include "queues/amqp/delayed_delivery.hpp"
#include "queues/amqp/lost_deliveries.hpp"

#include "protocol/json.hpp"

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

TEST_CASE("when a task asks to be run is read from its headers, however they are written") {
  const double now = 1800000000;
  const auto seconds = [&](const std::string& headers) {
    return delayed::seconds_to_eta(message(headers), now);
  };
  CHECK(seconds(R"({"task": "t", "id": "1", "eta": "2027-01-15T08:00:10.900000+00:00"})") == 10);
  CHECK(seconds(R"({"task":"t","id":"1","eta":"2027-01-15T08:00:10.900000+00:00"})") == 10);
  CHECK(seconds(R"({"eta" :  "2027-01-15T08:00:10Z", "task": "t", "id": "1"})") == 10);
  CHECK(seconds(R"({"task": "t", "id": "1", "eta": "2027-01-15T07:59:00+00:00"})") == 0);
  CHECK(seconds(R"({"task": "t", "id": "1", "eta": "9999-01-01T00:00:00+00:00"})") == delayed::most_seconds);
}

TEST_CASE("an eta that is an argument, nested or null is none") {
  const auto none = [](const std::string& headers) { return !delayed::eta_of(message(headers)).has_value(); };
  CHECK(none(R"({"task": "t", "id": "1", "eta": null})"));
  CHECK(none(R"({"task": "t", "id": "1"})"));
  CHECK(none(R"({"task": "t", "id": "1", "eta": null, "kwargsrepr": "{\"eta\": \"2999-01-01T00:00:00\"}"})"));
  CHECK(none(R"({"task": "t", "id": "1", "stamps": {"eta": "2999-01-01T00:00:00"}})"));
  CHECK(none(R"({"eta": "2999-01-01T00:00:00"})"));  // no task
  CHECK(none("not JSON"));
  Message argument = message(R"({"task":"t","id":"1"})");
  argument.body = R"([[], {"eta": "2999-01-01T00:00:00"}, {}])";
  CHECK_FALSE(delayed::eta_of(argument));
}

TEST_CASE("an eta counts whatever the body is made of") {
  Message sealed = message(
      R"({"task": "t", "id": "1", "compression": "application/x-unknown", "eta": "2027-01-15T08:00:10Z"})");
  sealed.content_type = "application/data";
  CHECK(delayed::eta_of(sealed) == 1800000010.0);
}

TEST_CASE("protocol 1 has its eta in the body") {
  Message old = message("{}");
  old.body = R"({"task":"t","id":"1","args":[],"kwargs":{"eta":"2999-01-01T00:00:00"},"eta":null})";
  CHECK_FALSE(delayed::eta_of(old));
  old.body = R"({"task": "t", "id": "1", "args": [], "kwargs": {}, "eta": "2027-01-15T08:00:10+00:00"})";
  CHECK(delayed::eta_of(old) == 1800000010.0);
}

TEST_CASE("a dead letter is the message with a note, and does not expire") {
  Message failed = message(R"({"task": "t", "id": "1"})");
  failed.properties.expiration = "1000";
  failed.properties.exchange = "orders";
  failed.properties.routing_key = "orders.new";
  failed.properties.delivery_mode = 1;
  DeadLetter why;
  why.category = "failed";
  why.cause = "it broke";
  why.attempts = 3;
  const Message letter = dead_letter("q", failed, why, 1800000000);
  CHECK(letter.body == failed.body);
  CHECK(letter.properties.correlation_id == "1");
  CHECK(letter.properties.expiration.empty());
  CHECK(letter.properties.exchange.empty());
  CHECK(letter.properties.routing_key == "celeriac.dead.q");
  CHECK(letter.properties.delivery_mode == 2);
  const auto headers = parse_json(letter.headers);
  REQUIRE(headers);
  CHECK(headers->at("task") == "t");
  const Json& note = headers->at(dead_letter_note);
  CHECK(note.at("queue") == "q");
  CHECK(note.at("cause") == "it broke");
  CHECK(note.at("attempts") == 3);
  CHECK(note.at("exchange") == "orders");
  CHECK(note.at("routing_key") == "orders.new");
  CHECK(note.at("time") == 1800000000.0);
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
