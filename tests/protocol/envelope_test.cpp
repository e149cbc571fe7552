#include "protocol/envelope.hpp"
#include "protocol/base64.hpp"
#include "protocol/envelope_edit.hpp"
#include "protocol/json.hpp"
#include "samples.hpp"

#include <doctest/doctest.h>

using namespace celeriac;
using namespace celeriac::test;

TEST_CASE("captured envelopes are decoded, and encoded again to the byte") {
  for (const auto* file : {"envelopes-5.2.jsonl", "envelopes-5.6.jsonl"}) {
    for (const auto& line : sample_lines(file)) {
      CAPTURE(line);
      const auto message = decode_envelope(line);
      REQUIRE(message);
      CHECK(encode_envelope(*message) == line);
      const auto tree = parse_json(line);
      REQUIRE(tree);
      CHECK(base64_encode(message->body) == (*tree)["body"].get<std::string>());
      CHECK(parse_json(message->headers).value() == (*tree)["headers"]);
    }
  }
}

TEST_CASE("every field of an envelope arrives") {
  const auto message = decode_envelope(sample_envelope("id-full"));
  REQUIRE(message);
  const auto& p = message->properties;
  CHECK(message->content_type == "application/json");
  CHECK(message->content_encoding == "utf-8");
  CHECK(p.correlation_id == "id-full");
  CHECK(p.reply_to == "rq");
  CHECK(p.delivery_mode == 2);
  CHECK(p.expiration == "120000");
  CHECK(p.exchange.empty());
  CHECK(p.routing_key == "validation");
  CHECK(p.priority == 5);
  CHECK(!p.delivery_tag.empty());
  CHECK(!p.redelivered);
}

TEST_CASE("missing and odd optional parts are defaults") {
  const auto message = decode_envelope(R"({"properties": {"delivery_tag": "t"}})");
  REQUIRE(message);
  CHECK(message->headers == "{}");
  CHECK(message->body.empty());
  CHECK(message->content_type == "application/json");
  CHECK(!message->properties.priority);

  const auto odd = decode_envelope(
      R"({"x": [{"y": 1}], "headers": null, "body": null, "properties": {"priority": "high", "reply_to": null,)"
      R"( "correlation_id": 5, "delivery_info": null, "delivery_mode": 1, "delivery_tag": "\u0074"}})");
  REQUIRE(odd);
  CHECK(odd->headers == "{}");
  CHECK(odd->properties.delivery_tag == "t");
  CHECK(odd->properties.delivery_mode == 1);
  CHECK(!odd->properties.priority);
}

TEST_CASE("a body that is no base64 is taken as text") {
  const auto message = decode_envelope(
      R"({"properties": {"body_encoding": "utf-8", "delivery_tag": "t"}, "body": "[[\"\u00e9\"], {}, {}]"})");
  REQUIRE(message);
  CHECK(message->body == "[[\"\xC3\xA9\"], {}, {}]");
  const auto escaped = decode_envelope(
      R"({"body": "W1\u0031d", "properties": {"body_encoding": "base64", "delivery_tag": "t"}})");
  REQUIRE(escaped);
  CHECK(escaped->body == base64_decode("W11d").value());
}

TEST_CASE("what is no envelope is an error") {
  const auto cause = [](std::string_view text) {
    const auto message = decode_envelope(text);
    return message ? std::string("decoded") : message.error().what;
  };
  CHECK(cause("") == "envelope: byte 0: expected an object");
  CHECK(cause("[1, 2]") == "envelope: byte 0: expected an object");
  CHECK(cause("{}") == "envelope: no properties.delivery_tag");
  CHECK(cause(R"({"properties": {"delivery_tag": 5}})") == "envelope: no properties.delivery_tag");
  CHECK(cause(R"({"headers": [], "properties": {}})").find("headers are no object") != std::string::npos);
  CHECK(cause(R"({"body": 5})").find("expected a string") != std::string::npos);
  CHECK(cause(R"({"body": "%%%", "properties": {"delivery_tag": "t", "body_encoding": "base64"}})")
            .find("base64") != std::string::npos);
  CHECK(cause("{\"headers\": " + std::string(200000, '[')) != "decoded");
  for (std::size_t cut = 0; cut < sample_envelope("id-plain").size(); ++cut) {
    CHECK(!decode_envelope(std::string_view(sample_envelope("id-plain")).substr(0, cut)));
    if (cut > 40) cut += 16;
  }
}

TEST_CASE("redelivered is marked as kombu's restore writes it") {
  for (const auto& line : sample_lines("redelivered.jsonl")) {
    // The message as it was before: the captured one without the two flags.
    std::string before = line;
    for (const std::string flag = ", \"redelivered\": true"; before.find(flag) != std::string::npos;) {
      before.erase(before.find(flag), flag.size());
    }
    CHECK(mark_redelivered(before).value() == line);
    CHECK(mark_redelivered(line).value() == line);
    CHECK(decode_envelope(line)->properties.redelivered);
  }
  CHECK(mark_redelivered(R"({"properties":{"delivery_info":{"redelivered":false}},"headers":{}})").value() ==
        R"({"properties":{"delivery_info":{"redelivered":true}},"headers":{"redelivered": true}})");
  CHECK(!mark_redelivered("[]"));
  CHECK(!mark_redelivered("{}"));
  CHECK(!mark_redelivered(R"({"headers": {}, "properties": {}})"));
}

TEST_CASE("an envelope gets another queue, and keeps every other byte") {
  const std::string before =
      R"({ "body":"YQ==","headers":{"routing_key":"no"},"properties":{"delivery_info":{"exchange":"e","routing_key":"old","x":1},"delivery_tag":"t"}})";
  const std::string after =
      R"({ "body":"YQ==","headers":{"routing_key":"no"},"properties":{"delivery_info":{"exchange":"","routing_key":"n\"w","x":1},"delivery_tag":"t"}})";
  CHECK(readdress(before, "n\"w").value() == after);
  const auto moved = readdress(sample_envelope("id-plain"), "other");
  REQUIRE(moved);
  CHECK(decode_envelope(*moved)->properties.routing_key == "other");
  CHECK(readdress(*moved, decode_envelope(sample_envelope("id-plain"))->properties.routing_key).value() ==
        sample_envelope("id-plain"));
  for (const char* bad : {"", "[]", "{}", R"({"properties": 5})", R"({"properties": {}})",
                          R"({"properties": {"delivery_info": {"exchange": ""}}})",
                          R"({"properties": {"delivery_info": {"routing_key": "q"}}})"})
    CHECK(!readdress(bad, "q"));
}

TEST_CASE("an envelope loses its eta, and keeps every other byte") {
  CHECK(without_eta(R"({"headers": {"a": 1, "eta": "2026-01-01T00:00:00+00:00", "id": "x"}, "body": ""})")
            .value() == R"({"headers": {"a": 1, "eta": null, "id": "x"}, "body": ""})");
  CHECK(without_eta(R"({"headers": {"id": "x"}})").value() == R"({"headers": {"id": "x"}})");
  CHECK(!without_eta("{}"));
  CHECK(!without_eta(R"({"headers": [1]})"));
}

TEST_CASE("an envelope without a tag gets one") {
  Message message;
  const auto decoded = decode_envelope(encode_envelope(message));
  REQUIRE(decoded);
  CHECK(decoded->properties.delivery_tag.size() == 36);
}
