#include "protocol/tagged.hpp"

#include <doctest/doctest.h>
#include <stdexcept>

using namespace celeriac;

namespace {

template <class T>
std::string again(const char* json) {
  return dump_json(Json(parse_json(json)->get<T>()));
}

}  // namespace

TEST_CASE("tagged values are read and written as kombu does") {
  CHECK(again<Decimal>(R"({"__type__": "decimal", "__value__": "1.10"})") ==
        R"({"__type__": "decimal", "__value__": "1.10"})");
  CHECK(again<Bytes>(R"({"__type__": "bytes", "__value__": "abc"})") ==
        R"({"__type__": "bytes", "__value__": "abc"})");
  CHECK(again<Bytes>(R"({"__type__": "base64", "__value__": "/wA="})") ==
        R"({"__type__": "base64", "__value__": "/wA="})");
  CHECK(again<Uuid>(R"({"__type__": "uuid", "__value__": {"hex": "00000000000000000000000000000001"}})") ==
        R"({"__type__": "uuid", "__value__": {"hex": "00000000000000000000000000000001"}})");
  CHECK(again<Date>(R"({"__type__": "date", "__value__": "2026-01-02"})") ==
        R"({"__type__": "date", "__value__": "2026-01-02"})");
  CHECK(again<Time>(R"({"__type__": "time", "__value__": "03:04:05.600000"})") ==
        R"({"__type__": "time", "__value__": "03:04:05.600000"})");
  for (const auto* text : {R"({"__type__": "datetime", "__value__": "2026-01-02T03:04:05.678901"})",
                           R"({"__type__": "datetime", "__value__": "2026-01-02T03:04:05+00:00"})",
                           R"({"__type__": "datetime", "__value__": "2026-01-02T03:04:05-05:30"})"}) {
    CHECK(again<DateTime>(text) == text);
  }
}

TEST_CASE("plain strings of older producers are read") {
  CHECK(parse_json("\"1.10\"")->get<Decimal>().text == "1.10");
  CHECK(parse_json("7")->get<Decimal>().text == "7");
  CHECK(parse_json("\"00000000-0000-0000-0000-00000000000A\"")->get<Uuid>().text ==
        "00000000-0000-0000-0000-00000000000a");
  CHECK(parse_json("\"2026-01-02T00:00:00\"")->get<Date>() == Date{std::chrono::year(2026) / 1 / 2});
  const auto time = parse_json("\"2026-01-02T03:04:05Z\"")->get<DateTime>();
  CHECK(time.utc().time_since_epoch() == std::chrono::seconds(1767323045));
  CHECK(parse_json("\"2026-01-02T05:04:05+02:00\"")->get<DateTime>().utc() == time.utc());
}

TEST_CASE("other values are no such type") {
  CHECK_THROWS_AS((void)parse_json("\"x\"")->get<Decimal>(), std::invalid_argument);
  CHECK_THROWS_AS((void)parse_json("\"12\"")->get<Uuid>(), std::invalid_argument);
  CHECK_THROWS_AS((void)parse_json("[]")->get<Bytes>(), std::invalid_argument);
  CHECK_THROWS_AS((void)parse_json("\"2026-13-02\"")->get<Date>(), std::invalid_argument);
  CHECK_THROWS_AS((void)parse_json(R"({"__type__": "date", "__value__": "2026-01-02"})")->get<DateTime>(),
                  std::invalid_argument);
  CHECK_THROWS_AS((void)parse_json("null")->get<Time>(), std::invalid_argument);
}
