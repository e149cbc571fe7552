#include "protocol/body.hpp"

#include "protocol/compression.hpp"
#include "protocol/envelope.hpp"
#include "samples.hpp"

#include <doctest/doctest.h>

using namespace celeriac;
using namespace celeriac::test;

namespace {

const std::vector<std::string> all = {"json", "yaml", "msgpack"};

tl::expected<Body, Refused> read(std::string bytes, std::string type = "application/json",
                                 std::string compression = "", std::string encoding = "utf-8") {
  Message message;
  message.body = std::move(bytes);
  message.content_type = std::move(type);
  message.content_encoding = std::move(encoding);
  TaskHeaders headers;
  headers.id = "i";
  headers.compression = std::move(compression);
  return read_body(message, headers, all);
}

}  // namespace

TEST_CASE("captured bodies of every serializer and compression") {
  for (const auto* id : {"id-plain", "id-yaml", "id-msgpack", "id-gzip", "id-bz2"}) {
    CAPTURE(id);
    for (const auto& line : sample_lines("envelopes-5.6.jsonl")) {
      const auto message = decode_envelope(line);
      if (message->properties.correlation_id != id) continue;
      const auto task = read_task(*message, all);
      REQUIRE(task);
      const auto body = read_body(*message, *task, all);
      REQUIRE(body);
      CHECK(dump_json(body->args) == "[2, 3]");
      CHECK(body->kwargs.empty());
      CHECK(body->embed.json()->begin().key() == "callbacks");
      CHECK(body->embed.json()->size() == 4);
    }
  }
}

TEST_CASE("captured JSON bodies are written again to the byte") {
  int compared = 0;
  for (const auto& line : sample_lines("envelopes-5.6.jsonl")) {
    const auto message = decode_envelope(line);
    const auto task = read_task(*message, {"json"});
    if (!task || task->protocol == Protocol::v1 || !task->compression.empty()) continue;
    const auto body = read_body(*message, *task, {"json"});
    REQUIRE(body);
    CHECK(write_body(*body) == message->body);
    ++compared;
  }
  CHECK(compared >= 10);
}

TEST_CASE("tagged values stay as they are at every depth") {
  const std::string text =
      R"([[{"__type__": "decimal", "__value__": "1.5"}], {"k": [{"__type__": "uuid", "__value__": {"hex": "01"}}]}, )"
      R"({"callbacks": null, "errbacks": null, "chain": null, "chord": null}])";
  CHECK(write_body(read(text).value()) == text);
  CHECK(read(R"([[], {"k": [[{"__value__": 1, "__type__": "set"}]]}, {}])").error().cause ==
        "body: unknown __type__ 'set'");
  CHECK(!read(R"([[{"__type__": 5, "__value__": 1}], {}, {}])"));
  CHECK(read(R"([[{"__type__": "nope", "__value__": 1, "more": 2}], {}, {}])"));
}

TEST_CASE("the embed is completed") {
  CHECK(read("[[], {}, null]")->embed.text() ==
        R"({"callbacks": null, "errbacks": null, "chain": null, "chord": null})");
  CHECK(read(R"([[], {}, {"foo": 1, "chain": []}])")->embed.text() ==
        R"({"callbacks": null, "errbacks": null, "chain": [], "chord": null, "foo": 1})");
  CHECK(write_body(Body{}) ==
        R"([[], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}])");
}

TEST_CASE("the next step of a chain is told from those behind it") {
  using Texts = std::pair<std::string, std::string>;  // the next step, those behind it
  const auto steps = [](const Embed& embed) -> std::optional<Texts> {
    const auto texts = embed.next_step();
    if (!texts) return std::nullopt;
    return Texts{texts->next, texts->later};
  };
  const auto in = [&](const char* text) { return steps(Embed::of(text).value()); };
  CHECK(in(R"({"chain": [{"a": "]"}, [2] , {"b": 1} ], "chord": null})") ==
        Texts{R"({"b": 1} )", R"([{"a": "]"}, [2]])"});
  CHECK(in(R"({"chain": [ 1]})") == Texts{"1", "[]"});
  CHECK(in(R"({"chain": [1], "chain": [2, 3]})") == Texts{"3", "[2]"});
  for (const char* none : {"null", "{}", R"({"chain": []})", R"({"chain": null})",
                           R"({"chain": {"task": "t"}})", R"({"chain": [1], "chain": {}})"}) {
    CAPTURE(none);
    CHECK_FALSE(in(none));
  }
  CHECK_FALSE(Embed::of(R"({"chain": [1, 2})"));
  CHECK_FALSE(Embed::of("[]"));
  CHECK_FALSE(Embed::of("{} 1"));
  CHECK(steps(Embed::from({{"chain", {1, 2}}})) == Texts{"2", "[1]"});
}

TEST_CASE("bodies of the wrong shape are refused") {
  for (const auto* text : {"", "5", "null", "\"x\"", "[]", "[[], {}]", "[[], {}, {}, {}]", "[{}, {}, {}]",
                           "[[], [], {}]", "[[], {}, []]", "{\"args\": {}}", "{\"kwargs\": []}"}) {
    CAPTURE(text);
    const auto body = read(text);
    REQUIRE(!body);
    CHECK(body.error().cause.find("body") == 0);
    CHECK(body.error().task_id == "i");
  }
  CHECK(read("[[], [], {}]").error().why == Refusal::invalid_task);
  CHECK(read("{oops").error().why == Refusal::undecodable);
  CHECK(read("[[], {}, {}]", "application/x-foo").error().why == Refusal::invalid_task);
}

TEST_CASE("compressed and otherwise encoded bodies") {
  const std::string text = R"([["é"], {}, {}])";
  for (const auto* name : {"application/x-gzip", "bzip2", "xz", "application/x-brotli", "zstd"}) {
    const auto packed = compress(find_compression(name).value(), text);
    CHECK(read(packed, "application/json", name)->args[0] == "é");
    CHECK(read(text, "application/json", name).error().why == Refusal::undecodable);
  }
  CHECK(read("[[\"\xE9\"], {}, {}]", "application/json", "", "latin-1")->args[0] == "é");
  CHECK(!read("[[\"\xE9\"], {}, {}]", "application/json", "", "utf-8"));
  CHECK(read(text, "application/json", "", "UTF-8"));
  CHECK(!read(text, "application/json", "", "utf-16"));
}
