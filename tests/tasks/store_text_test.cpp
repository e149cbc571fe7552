#include "tasks/store/text_values.hpp"

#include <doctest/doctest.h>

#include <cmath>

using namespace celeriac;

TEST_CASE("text from a document becomes storable text") {
  CHECK(clean_text("  caf\xC3\xA9 \n", 100) == "caf\xC3\xA9");
  CHECK(clean_text(std::string("a\0b\x01"
                               "c",
                               5),
                   100) == "a b c");
  CHECK(clean_text("a\nb\tc", 100) == "a b c");
  CHECK(clean_text("a\nb\tc", 100, true) == "a\nb\tc");
  CHECK(clean_text("\xC3\xA9\xC3\xA9\xC3\xA9", 2) == "\xC3\xA9\xC3\xA9");
  for (const std::string broken :
       {"\xFF", "\xC3", "\xED\xA0\x80", "\xC0\xAF", "\xF4\x90\x80\x80", "\xE2\x82"}) {
    CAPTURE(broken);
    const auto clean = clean_text(broken, 100);
    CHECK(clean.substr(0, 3) == "\xEF\xBF\xBD");
    CHECK(clean.size() % 3 == 0);
  }
  CHECK_FALSE(text_value(" \t ", 10).has_value());
}

TEST_CASE("only real days are dates") {
  CHECK(date_value("2024-02-29") == "2024-02-29");
  for (const std::string bad : {"", "2023-02-29", "2023-13-01", "2023-00-10", "0000-01-01", "23-01-01",
                                "2023/01/01", "2023-01-01x", "-023-01-01"}) {
    CAPTURE(bad);
    CHECK_FALSE(date_value(bad).has_value());
  }
}

TEST_CASE("only plain decimals that fit the column are amounts") {
  for (const std::string good : {"0", "-1234.50", "99999999999999.999999"}) CHECK(amount_value(good) == good);
  for (const std::string bad :
       {"", "-", ".5", "5.", "1e5", "NaN", "1,000.00", "100000000000000", "0.1234567", "--1", "+1"}) {
    CAPTURE(bad);
    CHECK_FALSE(amount_value(bad).has_value());
  }
}

TEST_CASE("confidences have two places between 0 and 1") {
  CHECK(confidence_value(0) == "0.00");
  CHECK(confidence_value(0.874) == "0.87");
  CHECK(confidence_value(0.005) == "0.01");
  CHECK(confidence_value(1) == "1.00");
  CHECK(confidence_value(7) == "1.00");
  CHECK(confidence_value(-1) == "0.00");
  CHECK(confidence_value(std::nan("")) == "0.00");
}
