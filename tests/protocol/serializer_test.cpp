#include "protocol/serializer.hpp"

#include "samples.hpp"

#include <doctest/doctest.h>

using namespace celeriac;
using namespace celeriac::test;

namespace {

std::string yaml(const std::string& text) {
  const auto value = parse_yaml(text);
  return value ? dump_json(*value) : "error";
}

std::string msgpack(const std::string& hex) {
  const auto value = parse_msgpack(from_hex(hex));
  return value ? dump_json(*value) : "error";
}

constexpr const char* documents[] = {"null",
                                     "true",
                                     "[]",
                                     "{}",
                                     "0",
                                     "127",
                                     "128",
                                     "255",
                                     "256",
                                     "65535",
                                     "65536",
                                     "4294967295",
                                     "4294967296",
                                     "-1",
                                     "-32",
                                     "-33",
                                     "-128",
                                     "-129",
                                     "-32768",
                                     "-32769",
                                     "-2147483649",
                                     "18446744073709551615",
                                     "1.5",
                                     "1e+16",
                                     "1e-07",
                                     "-Infinity",
                                     "NaN",
                                     "\"\"",
                                     "\"\\u00e9\\u20ac\\ud83d\\ude00\\n\\\"\\\\ :#'\"",
                                     "\"yes\"",
                                     "\"010\"",
                                     "\"2026-01-02\"",
                                     "[[1, [2, {\"a\": null}]], {\"b\": \"c\", \"true\": 1, \"\": 2}]",
                                     "{\"__type__\": \"base64\", \"__value__\": \"/wA=\"}",
                                     "{\"__type__\": \"decimal\", \"__value__\": \"1.10\"}"};

}  // namespace

TEST_CASE("every serializer reads what it wrote") {
  for (const auto* text : documents) {
    CAPTURE(text);
    const auto value = parse_json(text).value();
    for (const auto serializer : {Serializer::json, Serializer::yaml, Serializer::msgpack}) {
      const auto bytes = serialize(serializer, value);
      REQUIRE(bytes);
      const auto back = deserialize(serializer, *bytes);
      REQUIRE(back);
      CHECK(dump_json(*back) == text);
    }
  }
  const std::string long_key(3000, 'k');
  const Json value = {{long_key, std::string(70000, 'v')}};
  CHECK(parse_yaml(dump_yaml(value)).value() == value);
  CHECK(parse_msgpack(dump_msgpack(value).value()).value() == value);
  CHECK(!dump_msgpack(big_integer("18446744073709551616")));
  CHECK(yaml(dump_yaml(big_integer("18446744073709551616"))) == "18446744073709551616");
}

TEST_CASE("plain YAML scalars as PyYAML's safe_load reads them") {
  CHECK(yaml("[yes, No, on, OFF, true, y]") == R"([true, false, true, false, true, "y"])");
  CHECK(yaml("[~, null, Null, '', \"null\"]") == R"([null, null, null, "", "null"])");
  CHECK(yaml("[010, 0x1F, 0b101, 1_000, +5, -7, 0, 08, 190:20:30, 0o7]") ==
        R"([8, 31, 5, 1000, 5, -7, 0, "08", 685230, "0o7"])");
  CHECK(yaml("[1.5, 1e5, 1.0e+5, .5, -.inf, .NaN, 1., 1.5e5]") ==
        R"([1.5, "1e5", 100000.0, 0.5, -Infinity, NaN, 1.0, "1.5e5"])");
  CHECK(yaml("2026-01-02") == R"({"__type__": "date", "__value__": "2026-01-02"})");
  CHECK(yaml("2026-01-02 03:04:05.5 +01:00") ==
        R"({"__type__": "datetime", "__value__": "2026-01-02T03:04:05.500000+01:00"})");
  CHECK(yaml("!!binary /wA=") == R"({"__type__": "base64", "__value__": "/wA="})");
  CHECK(yaml("!!str 5") == "\"5\"");
  CHECK(yaml("{1: a, true: b, 1.5: c, ~: d}") == R"({"1": "a", "true": "b", "1.5": "c", "null": "d"})");
  CHECK(yaml("a: &x {k: 1}\nb: *x\nc: {<<: *x, l: 2}") ==
        R"({"a": {"k": 1}, "b": {"k": 1}, "c": {"k": 1, "l": 2}})");
  CHECK(yaml("- - 2\n  - 3\n- {}\n- callbacks: null\n") == R"([[2, 3], {}, {"callbacks": null}])");
}

TEST_CASE("YAML that builds objects, loops or explodes is refused") {
  CHECK(yaml("!!python/object/apply:os.system [x]") == "error");
  CHECK(yaml("!!python/name:os.system ''") == "error");
  CHECK(yaml("!!set {a}") == "error");
  CHECK(yaml("&a [*a]") == "error");
  CHECK(yaml("{[1]: 2}") == "error");
  CHECK(yaml("[1") == "error");
  CHECK(yaml("--- 1\n--- 2\n") == "error");
  CHECK(yaml("\"\xFF\"") == "error");
  CHECK(yaml(std::string(100000, '[')) == "error");
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const auto below = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + below;
    for (int j = 0; j < 9; ++j) bomb += ", " + below;
    bomb += "]\n";
  }
  CHECK(yaml(bomb) == "error");
}

TEST_CASE("msgpack forms and faults") {
  CHECK(msgpack("93920203"
                "80"
                "84a963616c6c6261636b73c0a86572726261636b73c0a5636861696ec0a563686f7264c0") ==
        R"([[2, 3], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}])");
  CHECK(msgpack("ca3fc00000") == "1.5");
  CHECK(msgpack("c40161") == R"({"__type__": "bytes", "__value__": "a"})");
  for (const auto* hex : {"", "c1", "92", "9201", "a261", "dd7fffffff", "dfffffffff00", "c6ffffffff",
                          "8101c0", "a1ff", "d40100", "c0c0", "cb00", "c7ff00"}) {
    CAPTURE(hex);
    CHECK(msgpack(hex) == "error");
  }
  CHECK(!parse_msgpack(std::string(200000, '\x91')));
}
