#include "protocol/base64.hpp"
#include "protocol/time.hpp"
#include "protocol/uuid.hpp"

#include <doctest/doctest.h>
#include <set>

using namespace celeriac;

TEST_CASE("ISO 8601 times") {
  const auto time = [](const char* text) { return parse_iso8601(text).value_or(-1); };
  CHECK(time("1970-01-01") == 0);
  CHECK(time("2026-11-20T11:06:40.143378+00:00") == doctest::Approx(1795172800.143378).epsilon(1e-15));
  CHECK(time("2026-11-20T11:06:40Z") == 1795172800);
  CHECK(time("2026-11-20 11:06:40") == 1795172800);
  CHECK(time("20261120T110640Z") == 1795172800);
  CHECK(time("20261120T1106") == 1795172760);
  CHECK(time("2026-11-20T13:06:40+02:00") == 1795172800);
  CHECK(time("2026-11-20T13:06:40+0200") == 1795172800);
  CHECK(time("2026-11-20T05:36:40-05:30") == 1795172800);
  CHECK(time("2026-11-20T11:06") == 1795172760);
  CHECK(time("2026-11-20T11:06:40,5") == 1795172800.5);
  CHECK(time("2026-11-20T11:06:40.123456789123") == doctest::Approx(1795172800.123456));
  CHECK(time("0001-01-01") == -62135596800.0);
  for (const auto* text : {"", "x", "zz", "not-a-date", "2026", "2026-11", "2026-1-2", "2026-13-01",
                           "2026-02-29", "2026-11-20T", "2026-11-20T25:00", "2026-11-20T11:60",
                           "2026-11-20T11:06:40.", "2026-11-20T11:06:40+", "2026-11-20T11:06:40ZZ",
                           "2026-11-20T11:06:40+25:00", "0000-01-01", "2026-11-20X11:06", " 2026-11-20"}) {
    CAPTURE(text);
    CHECK(!parse_iso8601(text));
  }
}

TEST_CASE("times are written as Python's isoformat") {
  CHECK(format_iso8601(1795172800.143378) == "2026-11-20T11:06:40.143378+00:00");
  CHECK(format_iso8601(1795172800) == "2026-11-20T11:06:40+00:00");
  CHECK(format_iso8601(-0.5) == "1969-12-31T23:59:59.500000+00:00");
  CHECK(format_iso8601(1e300) == "9999-12-31T23:59:59+00:00");
  CHECK(unix_now() > 1.7e9);
}

TEST_CASE("base64 both ways") {
  for (std::size_t size = 0; size < 300; ++size) {
    std::string bytes;
    for (std::size_t i = 0; i < size; ++i) bytes.push_back(static_cast<char>(i * 151 + size));
    CHECK(base64_decode(base64_encode(bytes)).value() == bytes);
  }
  CHECK(base64_encode("abcd") == "YWJjZA==");
  CHECK(base64_decode(" YW\nJj ZA==\r\n").value() == "abcd");
  for (const auto* text :
       {"%%%", "YWJ", "YWJjZ", "YWJjZA=", "YWJjZA===", "=", "YQ=a", "YWJj=", "YW Jj!", "Y==="}) {
    CAPTURE(text);
    CHECK(!base64_decode(text));
  }
}

TEST_CASE("UUIDs are of version 4 and differ") {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const auto id = uuid4();
    REQUIRE(id.size() == 36);
    CHECK(id[14] == '4');
    CHECK(std::string("89ab").find(id[19]) != std::string::npos);
    seen.insert(id);
  }
  CHECK(seen.size() == 1000);
}
