#include "tasks/extraction/text.hpp"
#include "tasks/extraction/values.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace celeriac;

TEST_CASE("dates in every form come out as ISO") {
  struct Case {
    const char *text, *iso;
  };
  const Case cases[] = {
      {"2024-03-05", "2024-03-05"},
      {"05.03.2024", "2024-03-05"},
      {"5.3.24", "2024-03-05"},
      {"05/03/2024", "2024-03-05"},
      {"5-3-2024", "2024-03-05"},
      {"8-9-2022", "2022-09-08"},
      {"31/12/2017", "2017-12-31"},
      {"12/31/2017", "2017-12-31"},
      {"11. Juli 2014", "2014-07-11"},
      {"August 3 , 2014", "2014-08-03"},
      {"Jan 1, 2022", "2022-01-01"},
      {"17 MAR 2018", "2018-03-17"},
      {"13-JUN-2018", "2018-06-13"},
      {"20 april 2022", "2022-04-20"},
      {"3. März 2021", "2021-03-03"},
      {"1er février 2020", "2020-02-01"},
      {"2 de enero de 2023", "2023-01-02"},
      {"29.02.2024", "2024-02-29"},
      {"05.03.2024,", "2024-03-05"},
      {"May 2, 2024", "2024-05-02"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    CHECK(parse_date(c.text).value_or("none") == c.iso);
  }
}

TEST_CASE("what is no date stays none") {
  for (const char* text :
       {"", "12", "29.02.2023", "32/01/2024", "471102", "2 12.00", "1.234.567", "10:27:03", "19.01", "May",
        "4012345001235", "01.13.2", "2018-471331", "12.12.1890", "20240305123456"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_date(text));
  }
}

TEST_CASE("an ambiguous date follows the document's order") {
  CHECK(*parse_date("03/04/2024") == "2024-04-03");
  CHECK(*parse_date("03/04/2024", DateOrder::month_first) == "2024-03-04");
  CHECK(*parse_date("03.04.2024", DateOrder::month_first) == "2024-04-03");
  CHECK(implied_order("11/17/2017") == DateOrder::month_first);
  CHECK(implied_order("17/11/2017") == DateOrder::day_first);
  CHECK_FALSE(implied_order("03/04/2024"));
}

TEST_CASE("amounts in every form come out as plain decimals") {
  struct Case {
    const char *text, *value, *currency;
  };
  const Case cases[] = {
      {"1.234,56 €", "1234.56", "EUR"},
      {"$1,234.56", "1234.56", "USD"},
      {"1 234,56", "1234.56", ""},
      {"1'234.50", "1234.50", ""},
      {"-8,79", "-8.79", ""},
      {"12,50-", "-12.50", ""},
      {"(3.00)", "-3.00", ""},
      {"EUR 119.00", "119.00", "EUR"},
      {"RM 73.00", "73.00", "MYR"},
      {"Rs 1939", "1939", "INR"},
      {"9,9000", "9.90", ""},
      {"0,0205", "0.0205", ""},
      {"100", "100", ""},
      {"1.000.000", "1000000", ""},
      {"0,00", "0.00", ""},
      {"-0,00", "0.00", ""},
      {"2,076.76 €", "2076.76", "EUR"},
      {"− 5,00", "-5.00", ""},
      {"\xc2\xa3"
       "52.00",
       "52.00", "GBP"},
      {"007.50", "7.50", ""},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    const auto amount = parse_amount(c.text);
    REQUIRE(amount);
    CHECK(amount->value == c.value);
    CHECK(amount->currency == c.currency);
  }
}

TEST_CASE("a lone separator before three digits groups unless the document says otherwise") {
  CHECK(parse_amount("1.234")->value == "1234");
  CHECK(parse_amount("1.234", ',')->value == "1234");
  CHECK(parse_amount("1.234", '.')->value == "1.234");
  CHECK(parse_amount("0.125")->value == "0.125");
}

TEST_CASE("what is no amount stays none") {
  for (const char* text : {"", "-", "abc", "19 %", "1.23.4", "12,34,5", "4 kg", "10:30", "DE123456789",
                           "1..2", "275,00 7", "7 19,25", "99999999999999999999"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_amount(text));
  }
}

TEST_CASE("cents are exact") {
  CHECK(cents("1234.56") == 123456);
  CHECK(cents("-0.005") == -1);
  CHECK(cents("7") == 700);
  CHECK_FALSE(cents("1e5"));
  CHECK_FALSE(cents(""));
  CHECK(from_cents(-5) == "-0.05");
  CHECK(from_cents(123456) == "1234.56");
}

TEST_CASE("labels fold to letters and digits") {
  CHECK(fold("Gesamtbetrag der Zuschläge:") == "gesamtbetragderzuschlage");
  CHECK(fold("Ver käufer :") == "verkaufer");
  CHECK(fold("Straße") == "strasse");
  CHECK(fold("N° de Facture") == "ndefacture");
  CHECK(fold("\xff\xfe"
             "a") == "a");
}

TEST_CASE("text from outside becomes valid UTF-8") {
  CHECK(valid_utf8("a\xff"
                   "b\xc3") == "ab");
  CHECK(valid_utf8(std::string("a\0b", 3)) == "ab");
  CHECK(squeeze(" a \xc2\xa0 b\n") == "a b");
}
