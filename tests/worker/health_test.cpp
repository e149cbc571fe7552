#include "worker/monitor/health.hpp"

#include <doctest/doctest.h>

namespace celeriac {
namespace {

Health consuming(double now) {
  Health health;
  health.on_connected(true);
  health.on_consuming();
  health.on_asked(now);
  health.on_answered(now);
  return health;
}

TEST_CASE("a worker is ready once it is connected, consumes and was answered") {
  Health health;
  CHECK(health.reason(0) == "no connection to the broker");
  health.on_connected(true);
  CHECK(health.reason(0) == "not consuming yet");
  CHECK(!health.started());
  health.on_consuming();
  CHECK(health.started());
  CHECK(health.reason(0) == "the broker has not answered yet");
  health.on_asked(1);
  CHECK(!health.ready(1));
  health.on_answered(1.5);
  CHECK(health.ready(1.5));
}

TEST_CASE("a broker that does not answer makes it unready, and an answer ready again") {
  auto health = consuming(10);
  health.on_asked(11);
  CHECK(health.ready(11 + Health::patience));
  CHECK(health.reason(11 + Health::patience + 1) == "the broker has not answered for 6 s");
  health.on_asked(17);  // the first question still counts
  CHECK(!health.ready(17.5));
  CHECK(health.started());
  health.on_answered(18);
  CHECK(health.ready(18));
}

TEST_CASE("lost connections, stalls and the end make it unready") {
  auto health = consuming(1);
  health.on_connected(false);
  CHECK(!health.ready(1));
  health.on_connected(true);
  CHECK(health.ready(1));
  health.on_stalled(true);
  CHECK(health.reason(1) == "messages wait and slots are free, but nothing is delivered");
  health.on_stalled(false);
  CHECK(health.ready(1));
  health.on_going_down();
  CHECK(health.reason(1) == "shutting down");
}

}  // namespace
}  // namespace celeriac
