// Odd and broken list items, each with what has to become of it: tests/data/protocol/malformed.jsonl.
#include "protocol/base64.hpp"
#include "protocol/body.hpp"
#include "protocol/envelope.hpp"
#include "samples.hpp"

#include <doctest/doctest.h>

using namespace celeriac;
using namespace celeriac::test;

namespace {

const std::vector<std::string> json_only = {"json"};

// The cause of the refusal, or nothing when the item can run.
std::string refusal_of(std::string_view item) {
  const auto message = decode_envelope(item);
  if (!message) return message.error().what;
  const auto task = read_task(*message, json_only);
  if (!task) return task.error().cause;
  const auto body = read_body(*message, *task, json_only);
  if (!body) return body.error().cause;
  return {};
}

}  // namespace

TEST_CASE("every odd item is run or refused as expected, and a refusal has a cause") {
  int refused = 0;
  for (const auto& line : sample_lines("malformed.jsonl")) {
    const auto test_case = parse_json(line);
    REQUIRE(test_case);
    CAPTURE((*test_case)["name"].get<std::string>());
    const std::string cause = refusal_of((*test_case)["item"].get<std::string>());
    CAPTURE(cause);
    CHECK(!cause.empty() == ((*test_case)["expect"] == "refused"));
    if (!cause.empty()) ++refused;
  }
  CHECK(refused >= 20);
}

TEST_CASE("a body of two hundred thousand brackets is refused") {
  Message message;
  message.headers = R"({"task": "t", "id": "i"})";
  message.body = std::string(200000, '[') + std::string(200000, ']');
  message.properties.delivery_tag = "t";
  CHECK(refusal_of(encode_envelope(message)) != "");
  message.headers = "{}";
  CHECK(refusal_of(encode_envelope(message)) != "");
}
