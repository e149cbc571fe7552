#include "protocol/repr.hpp"

#include <doctest/doctest.h>

using namespace celeriac;

namespace {

std::string repr(const char* json) { return python_repr(parse_json(json).value()); }

}  // namespace

TEST_CASE("values as Python shows them") {
  CHECK(repr("null") == "None");
  CHECK(repr(R"({"a": [1, 2.5, true, null, "x"], "b": {}, "c": false})") ==
        "{'a': [1, 2.5, True, None, 'x'], 'b': {}, 'c': False}");
  CHECK(repr("18446744073709551616") == "18446744073709551616");
  CHECK(repr("[1e16, NaN, -Infinity]") == "[1e+16, nan, -inf]");
}

TEST_CASE("strings choose their quotes and escapes") {
  CHECK(repr(R"("it's")") == "\"it's\"");
  CHECK(repr(R"("say \"hi\"")") == "'say \"hi\"'");
  CHECK(repr(R"("it's \"x\"")") == "'it\\'s \"x\"'");
  CHECK(repr(R"("\n\r\t\\\u0000\u007f\u00a0\u00e9\u200b\ud83d\ude00\ud800")") ==
        "'\\n\\r\\t\\\\\\x00\\x7f\\xa0é\\u200b😀\\ud800'");
}

TEST_CASE("tagged values by their Python form") {
  CHECK(repr(R"({"__type__": "decimal", "__value__": "1.10"})") == "Decimal('1.10')");
  CHECK(repr(R"({"__type__": "uuid", "__value__": {"hex": "00000000000000000000000000000001"}})") ==
        "UUID('00000000-0000-0000-0000-000000000001')");
  CHECK(repr(R"({"__type__": "datetime", "__value__": "2026-01-02T03:04:05.678901"})") ==
        "datetime.datetime(2026, 1, 2, 3, 4, 5, 678901)");
  CHECK(repr(R"({"__type__": "datetime", "__value__": "2026-01-02T03:04:05+00:00"})") ==
        "datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)");
  CHECK(repr(R"({"__type__": "datetime", "__value__": "2026-01-02T03:04:00-01:00"})") ==
        "datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.timezone(datetime.timedelta(days=-1, "
        "seconds=82800)))");
  CHECK(repr(R"({"__type__": "date", "__value__": "2026-01-02"})") == "datetime.date(2026, 1, 2)");
  CHECK(repr(R"({"__type__": "time", "__value__": "03:04:05.600000"})") == "datetime.time(3, 4, 5, 600000)");
  CHECK(repr(R"({"__type__": "bytes", "__value__": "abc"})") == "b'abc'");
  CHECK(repr(R"({"__type__": "base64", "__value__": "/wA="})") == "b'\\xff\\x00'");
  CHECK(repr(R"({"__type__": "odd", "__value__": 1})") == "{'__type__': 'odd', '__value__': 1}");
}

TEST_CASE("arguments are a tuple") {
  CHECK(python_args_repr(Json::array()) == "()");
  CHECK(python_args_repr(Json::array({1})) == "(1,)");
  CHECK(python_args_repr(Json::array({1, "x"})) == "(1, 'x')");
}

TEST_CASE("long text is cut at characters, not bytes") {
  const auto text = python_repr(Json(std::string(5000, 'a')));
  CHECK(text.size() == 1024);
  CHECK(text.substr(1020) == "a...");
  CHECK(python_repr(Json(std::string(5000, 'a')), 0).size() == 5002);
  CHECK(python_repr(Json("ééééé"), 6) == "'éé...");
  CHECK(python_repr(Json("éé"), 4) == "'éé'");
}
