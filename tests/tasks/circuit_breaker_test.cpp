#include "tasks/engines/circuit_breaker.hpp"

#include <doctest/doctest.h>

using namespace celeriac;
using namespace std::chrono_literals;

TEST_CASE("opens after failures in a row, lets one through, closes on success") {
  CircuitBreaker breaker({3, 60s, 300s});
  const CircuitBreaker::Time start{1h};
  breaker.failed(start);
  breaker.failed(start);
  breaker.succeeded();
  breaker.failed(start);
  breaker.failed(start);
  CHECK_FALSE(breaker.wait_before_call(start));
  breaker.failed(start);
  CHECK(breaker.open());
  CHECK(breaker.wait_before_call(start) == 60s);
  CHECK(breaker.wait_before_call(start + 59s) == 1s);
  CHECK_FALSE(breaker.wait_before_call(start + 60s));
  CHECK(breaker.wait_before_call(start + 60s) == 60s);  // the others wait for the one
  breaker.failed(start + 61s);
  CHECK(breaker.wait_before_call(start + 61s) == 120s);
  CHECK_FALSE(breaker.wait_before_call(start + 181s));
  breaker.succeeded();
  CHECK_FALSE(breaker.open());
  CHECK_FALSE(breaker.wait_before_call(start + 181s));
}

TEST_CASE("the wait has an end") {
  CircuitBreaker breaker({1, 60s, 300s});
  CircuitBreaker::Time now{1h};
  for (int i = 0; i < 20; ++i) breaker.failed(now);
  CHECK(breaker.wait_before_call(now) == 300s);
}

TEST_CASE("a pause that was asked for is no failure") {
  CircuitBreaker breaker({1, 60s, 300s});
  const CircuitBreaker::Time now{1h};
  breaker.pause_until(now + 10s);
  CHECK(breaker.wait_before_call(now) == 10s);
  breaker.succeeded();
  CHECK(breaker.wait_before_call(now + 1s) == 9s);
  CHECK_FALSE(breaker.wait_before_call(now + 10s));
}
