#include "protocol/json.hpp"

#include <doctest/doctest.h>
#include <cmath>
#include <limits>

using namespace celeriac;

namespace {

std::string again(std::string_view text) {
  const auto value = parse_json(text);
  return value ? dump_json(*value) : "error: " + value.error().what;
}

}  // namespace

TEST_CASE("what Python's json.dumps writes is read and written unchanged") {
  for (const auto* text : {"null",
                           "true",
                           "false",
                           "0",
                           "-1",
                           "9223372036854775807",
                           "-9223372036854775808",
                           "18446744073709551615",
                           "18446744073709551616",
                           "-9223372036854775809",
                           "1180591620717411303424",
                           "1.0",
                           "-0.0",
                           "0.1",
                           "1e+16",
                           "1e-05",
                           "0.0001",
                           "123456789012345.6",
                           "1e+22",
                           "5e-324",
                           "1.7976931348623157e+308",
                           "NaN",
                           "Infinity",
                           "-Infinity",
                           "\"\"",
                           "\"\\u00e9\\u20ac\\ud83d\\ude00\"",
                           "\"\\u007f\"",
                           "\"\\n\\r\\t\\b\\f\\\\\\\"/\"",
                           "\"\\ud800\"",
                           "\"\\udc00\\ud800\"",
                           "\"\\u0000\"",
                           "[]",
                           "{}",
                           "[1, 2.5, true, null, \"x\"]",
                           "{\"b\": 1, \"a\": {\"\": []}}",
                           "[[[]], {\"k\": {}}]"}) {
    CAPTURE(text);
    CHECK(again(text) == text);
  }
}

TEST_CASE("other spellings come out as Python's") {
  CHECK(again(" [ 1 ,2,\t3\n] ") == "[1, 2, 3]");
  CHECK(again("\"\\/\\u0041\xC3\xA9\"") == "\"/A\\u00e9\"");
  CHECK(again("-0") == "0");
  CHECK(again("1E5") == "100000.0");
  CHECK(again("1e999") == "Infinity");
  CHECK(again("-1e99999999999999999999") == "-Infinity");
  CHECK(again("1e-999") == "0.0");
  CHECK(again("-0.0000001e-400") == "-0.0");
  CHECK(again("0.00000000000000000000000001e400") == "Infinity");
  CHECK(again("0e999") == "0.0");
}

TEST_CASE("a repeated key keeps its place and its last value") {
  CHECK(again(R"({"a": 1, "b": 2, "a": 3})") == R"({"a": 3, "b": 2})");
  std::string text = "{";
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 100000; ++i)
      text += "\"key" + std::to_string(i) + "\": " + std::to_string(round) + ",";
  }
  text.back() = '}';
  const auto value = parse_json(text);
  REQUIRE(value);
  CHECK(value->size() == 100000);
  CHECK(value->begin().key() == "key0");
  CHECK(value->begin().value() == 1);
}

TEST_CASE("what is no JSON is refused, with the place") {
  for (const auto* text : {"",
                           " ",
                           "{",
                           "[",
                           "[1",
                           "[1,",
                           "[1,]",
                           "[,1]",
                           "{\"a\"",
                           "{\"a\":",
                           "{\"a\":1,",
                           "{\"a\":1,}",
                           "{a:1}",
                           "{1:1}",
                           "01",
                           "-",
                           "+1",
                           ".5",
                           "1.",
                           "1e",
                           "1e+",
                           "--1",
                           "0x10",
                           "nul",
                           "nulll",
                           "True",
                           "'a'",
                           "\"",
                           "\"\\",
                           "\"\\x41\"",
                           "\"\\u12\"",
                           "\"\\u12g4\"",
                           "\"\n\"",
                           "\"\x01\"",
                           "\"\xFF\"",
                           "\"\xC0\x80\"",
                           "\"\xED\xA0\x80\"",
                           "\"\xF4\x90\x80\x80\"",
                           "\"\xE2\x82\"",
                           "\xEF\xBB\xBF[]",
                           "[] []",
                           "[}",
                           "{]",
                           "-NaN",
                           "nan",
                           "Infinit",
                           "1 2"}) {
    CAPTURE(text);
    CHECK(!parse_json(text));
  }
  CHECK(parse_json("[1, x]").error().what == "JSON: byte 4: expected a number");
  CHECK(!parse_json(std::string_view("\"\0\"", 3)));
}

TEST_CASE("depth and size are bounded") {
  const std::string deep(200000, '[');
  CHECK(!parse_json(deep));
  CHECK(!parse_json(deep + std::string(200000, ']')));
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += "{\"a\":";
  CHECK(!parse_json(objects));
  CHECK(parse_json(std::string(512, '[') + std::string(512, ']')));
  CHECK(!parse_json("[1, 2]", JsonLimits{.max_bytes = 5}));
  CHECK(!parse_json("[[1]]", JsonLimits{.max_depth = 1}));
  CHECK(!parse_json(std::string(4301, '9')));
  CHECK(parse_json(std::string(4300, '9')));
}

TEST_CASE("long integers keep their digits") {
  const auto value = parse_json("[18446744073709551616, -18446744073709551616]");
  REQUIRE(value);
  REQUIRE(is_big_integer((*value)[0]));
  CHECK(big_integer_digits((*value)[0]) == "18446744073709551616");
  CHECK(dump_json(big_integer("-18446744073709551616")) == "-18446744073709551616");
}

TEST_CASE("broken UTF-8 in our own strings is written as U+FFFD") {
  CHECK(dump_json(Json(std::string("a\xFF"
                                   "b\xC3"))) == "\"a\\ufffdb\\ufffd\"");
}

TEST_CASE("floats are laid out as repr does") {
  CHECK(python_float(1) == "1.0");
  CHECK(python_float(1e15) == "1000000000000000.0");
  CHECK(python_float(1e16) == "1e+16");
  CHECK(python_float(-1.5e-7) == "-1.5e-07");
  CHECK(python_float(1e100) == "1e+100");
  CHECK(python_float(0.1 + 0.2) == "0.30000000000000004");
  CHECK(python_float(std::nan("")) == "nan");
  CHECK(python_float(-std::numeric_limits<double>::infinity()) == "-inf");
}
