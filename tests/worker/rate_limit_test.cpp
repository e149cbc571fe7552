#include "worker/rate_limit.hpp"

#include <doctest/doctest.h>

using namespace celeriac;

TEST_CASE("rates are written as in Celery") {
  CHECK(*parse_rate("10") == 10);
  CHECK(*parse_rate("10/s") == 10);
  CHECK(*parse_rate("90/m") == 1.5);
  CHECK(*parse_rate("1800/h") == 0.5);
  CHECK(*parse_rate("0.5") == 0.5);
  CHECK(*parse_rate("0") == 0);
  CHECK(*parse_rate("") == 0);
  for (const char* bad : {"10/d", "x", "10/", "-1", "1 0", "nan", "inf", "/s"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_rate(bad));
  }
}

TEST_CASE("the first may go at once, then one per interval, in order") {
  RateLimit limit(2);
  for (JobId job : {1, 2, 3}) limit.add(job);
  CHECK(limit.take(100) == 1);
  CHECK(limit.take(100) == 0);
  CHECK(limit.next_due(100) == 100.5);
  CHECK(limit.take(100.5) == 2);
  limit.remove(3);
  CHECK(limit.next_due(101) == 0);
  CHECK(limit.take(200) == 0);
}

TEST_CASE("idle time saves up no more than one token") {
  RateLimit limit(1);
  limit.add(1);
  CHECK(limit.take(0) == 1);
  limit.add(2);
  limit.add(3);
  CHECK(limit.take(1000) == 2);
  CHECK(limit.take(1000.5) == 0);
}

TEST_CASE("a new rate applies to those who wait") {
  RateLimit limit(0.001);
  limit.add(1);
  limit.add(2);
  CHECK(limit.take(1) == 1);
  limit.set_rate(0);
  CHECK(limit.take(1) == 2);
}
