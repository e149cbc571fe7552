#include "worker/autoscaler.hpp"

#include <doctest/doctest.h>

using celeriac::Autoscaler;

TEST_CASE("autoscale: it grows at once, and only as far as it may") {
  Autoscaler scaler(4, 1, 30);
  CHECK(scaler.decide(1, 0, 100) == 0);
  CHECK(scaler.decide(1, 1, 100) == 0);
  CHECK(scaler.decide(1, 3, 100) == 2);
  CHECK(scaler.decide(3, 1000000, 100) == 1);
  CHECK(scaler.decide(4, 1000000, 100) == 0);
}

TEST_CASE("autoscale: it shrinks when nothing has grown for a while") {
  Autoscaler scaler(4, 1, 30);
  CHECK(scaler.decide(1, 4, 100) == 3);
  CHECK(scaler.decide(4, 0, 110) == 0);
  CHECK(scaler.decide(4, 0, 130) == 0);
  CHECK(scaler.decide(4, 2, 130.1) == -2);
  CHECK(scaler.decide(4, 0, 130.1) == -3);
  CHECK(scaler.decide(1, 0, 131) == 0);
}

TEST_CASE("autoscale: one slot stays, for nobody could ask the pool otherwise") {
  Autoscaler scaler(2, 0, 30);
  CHECK(scaler.min() == 0);
  CHECK(scaler.decide(1, 0, 1000) == 0);
  CHECK(scaler.decide(2, 0, 1000) == -1);
}

TEST_CASE("autoscale: new bounds take effect at once") {
  Autoscaler scaler(4, 1, 30);
  CHECK(scaler.set_bounds(8, 3, 2, 100) == 1);
  CHECK(scaler.set_bounds(2, 1, 3, 100) == -1);
  CHECK(scaler.set_bounds(6, 2, 3, 100) == 0);
  CHECK(scaler.decide(3, 0, 120) == 0);  // set_bounds() has grown at 100
}
