#include "worker/beat/crontab.hpp"

#include "protocol/time.hpp"

#include <doctest/doctest.h>

using namespace celeriac;

namespace {

double at(const char* iso) { return parse_iso8601(iso).value(); }

std::string next(const char* crontab, const char* zone, const char* after) {
  return format_iso8601(Crontab::from_string(crontab).value().next(at(after), Zone::find(zone).value()));
}

std::string error(CrontabFields fields) { return Crontab::parse(fields).error().what; }

}  // namespace

TEST_CASE("crontab: every field, names, ranges that wrap, steps") {
  CHECK(next("* * * * *", "UTC", "2026-11-21T10:00:00") == "2026-11-21T10:01:00+00:00");
  CHECK(next("* * * * *", "UTC", "2026-11-21T10:00:59.9") == "2026-11-21T10:01:00+00:00");
  CHECK(next("*/15 * * * *", "UTC", "2026-11-21T10:46:00") == "2026-11-21T11:00:00+00:00");
  CHECK(next("0 4 * * mon", "UTC", "2026-11-21T10:00:00") == "2026-11-23T04:00:00+00:00");
  CHECK(next("0 4 * * Fri-Monday", "UTC", "2026-11-23T10:00:00") == "2026-11-27T04:00:00+00:00");
  CHECK(next("0 4 * * fri-mon/2", "UTC", "2026-11-21T10:00:00") == "2026-11-22T04:00:00+00:00");
  CHECK(next("0 0 31 * *", "UTC", "2026-11-21T10:00:00") == "2026-12-31T00:00:00+00:00");
  CHECK(next("0 0 1 January *", "UTC", "2026-11-21T10:00:00") == "2027-01-01T00:00:00+00:00");
  CHECK(next("0 0 29 2 *", "UTC", "2026-11-21T10:00:00") == "2028-02-29T00:00:00+00:00");
  // Both day fields must match: the next Friday the 13th.
  CHECK(next("0 0 13 * fri", "UTC", "2026-11-21T10:00:00") == "2027-08-13T00:00:00+00:00");
  // The rarest: 29 February on a Sunday, over 2100, which is no leap year.
  CHECK(next("0 0 29 2 sun", "UTC", "2088-03-01T00:00:00") == "2128-02-29T00:00:00+00:00");
}

TEST_CASE("crontab: what is wrong is named in Celery's words") {
  CHECK(error({.minute = "60"}) == "crontab minute: Invalid end range: 60 > 59.");
  CHECK(error({.day_of_month = "0"}) == "crontab day_of_month: Invalid beginning range: 0 < 1.");
  CHECK(error({.day_of_week = "7"}) == "crontab day_of_week: Invalid end range: 7 > 6.");
  CHECK(error({.minute = "*/"}) == "crontab minute: empty filter");
  CHECK(error({.minute = "1,,2"}) == "crontab minute: empty part");
  CHECK(error({.minute = ""}) == "crontab minute: empty part");
  CHECK(error({.minute = "*/0"}).find("a step is a whole number") != std::string::npos);
  CHECK(error({.minute = "5/2"}).find("a step needs a range") != std::string::npos);
  CHECK(error({.hour = "noon"}) == "crontab hour: 'noon' is no number");
  CHECK(error({.day_of_week = "xyz"}) == "crontab day_of_week: 'xyz' is no number and no name");
  CHECK(error({.minute = "-1"}) == "crontab minute: '' is no number");
  CHECK(error({.minute = "99999999999999999999"}) == "crontab minute: '99999999999999999999' is no number");
  CHECK(error({.day_of_month = "31", .month_of_year = "feb"}).find("never comes") != std::string::npos);
  CHECK(error({.minute = std::string(2000, '1')}) == "crontab minute: is too long");
  CHECK(Crontab::from_string("* * * *").error().what.find("five fields") != std::string::npos);
  CHECK(Crontab::from_string("* * * * * *").error().what.find("five fields") != std::string::npos);
  CHECK(Zone::find("Mars/Olympus").error().what.find("Mars/Olympus") != std::string::npos);
}

TEST_CASE("crontab: the clock is put forward") {
  // Berlin, 29 March 2026: 02:00 CET becomes 03:00 CEST.
  CHECK(next("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00") == "2026-03-29T01:30:00+00:00");  // 03:30
  CHECK(next("30 2 * * *", "Europe/Berlin", "2026-03-29T01:30:00") == "2026-03-30T00:30:00+00:00");
  CHECK(next("*/15 * * * *", "Europe/Berlin", "2026-03-29T00:45:00") == "2026-03-29T01:00:00+00:00");
  CHECK(next("0 3 * * *", "Europe/Berlin", "2026-03-28T12:00:00") == "2026-03-29T01:00:00+00:00");
}

TEST_CASE("crontab: the clock is put back") {
  // Berlin, 25 October 2026: 03:00 CEST becomes 02:00 CET, at 01:00 UTC.
  CHECK(next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00") ==
        "2026-10-25T00:30:00+00:00");  // the first
  CHECK(next("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00") ==
        "2026-10-26T01:30:00+00:00");  // not the second
  CHECK(next("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00") == "2026-10-26T01:30:00+00:00");
  CHECK(next("0 3 * * *", "Europe/Berlin", "2026-10-25T00:30:00") == "2026-10-25T02:00:00+00:00");
  // Every hour: no hour is left out.
  CHECK(next("*/15 * * * *", "Europe/Berlin", "2026-10-25T00:45:00") == "2026-10-25T01:00:00+00:00");
  CHECK(next("*/15 * * * *", "Europe/Berlin", "2026-10-25T01:00:00") == "2026-10-25T01:15:00+00:00");
  CHECK(next("5 * * * *", "Europe/Berlin", "2026-10-25T00:05:00") == "2026-10-25T01:05:00+00:00");
  CHECK(next("5 * * * *", "Europe/Berlin", "2026-10-25T01:05:00") == "2026-10-25T02:05:00+00:00");
  // Half an hour only: Lord Howe.
  CHECK(next("50 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00") == "2026-04-04T14:50:00+00:00");
  CHECK(next("50 1 * * *", "Australia/Lord_Howe", "2026-04-04T14:50:00") == "2026-04-05T15:20:00+00:00");
}

TEST_CASE("crontab: it always goes on, in any zone, and lands on what it says") {
  for (const char* zone : {"UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Pacific/Apia"}) {
    const Zone place = Zone::find(zone).value();
    const Crontab every = Crontab::from_string("*/20 * * * *").value();
    double when = at("2026-01-01T00:00:00");
    for (int i = 0; i < 30000; ++i) {
      const double after = every.next(when, place);
      REQUIRE(after > when);
      REQUIRE(after - when <= 1200);
      when = after;
    }
  }
}
