#include "worker/stall.hpp"

#include <doctest/doctest.h>

using celeriac::StallDetector;

TEST_CASE("two looks at a queue that is not empty make a stall") {
  StallDetector stall(30);
  stall.on_progress(1);
  CHECK_FALSE(stall.should_ask(20, true));
  CHECK(stall.should_ask(31, true));
  CHECK_FALSE(stall.on_depth(31, 5));
  CHECK_FALSE(stall.should_ask(32, true));
  CHECK(stall.should_ask(34, true));
  CHECK(stall.on_depth(34, 5));
}

TEST_CASE("an empty queue, a delivery or a busy pool is no stall") {
  StallDetector stall(30);
  stall.on_progress(1);
  CHECK(stall.should_ask(40, true));
  CHECK_FALSE(stall.on_depth(40, 0));
  CHECK_FALSE(stall.should_ask(60, false));
  CHECK_FALSE(stall.should_ask(80, true));
  CHECK(stall.should_ask(95, true));
  CHECK_FALSE(stall.on_depth(95, 7));
  stall.on_progress(96);
  CHECK_FALSE(stall.should_ask(99.5, true));
}
