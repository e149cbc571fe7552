#include "worker/prefetch.hpp"

#include <doctest/doctest.h>

using celeriac::Prefetch;

TEST_CASE("the window starts at concurrency times the multiplier") {
  CHECK(Prefetch({.concurrency = 2}).window() == 8);
  CHECK(Prefetch({.concurrency = 2, .multiplier = 1}).window() == 2);
  CHECK(Prefetch({.concurrency = 2, .multiplier = 0}).window() == 0);
}

TEST_CASE("quick tasks widen it, up to 1024, doubling at most") {
  Prefetch p({.concurrency = 2});
  CHECK(p.on_finished(8, 8 * 5e-6));
  CHECK(p.window() == 16);
  for (int i = 0; i < 20; ++i) p.on_finished(8, 8 * 5e-6);
  CHECK(p.window() == 1024);
  CHECK(p.lookahead() > 0);
}

TEST_CASE("held work stays near 30 ms a slot") {
  Prefetch p({.concurrency = 2});
  for (int i = 0; i < 20; ++i) p.on_finished(10, 10 * 1e-3);
  CHECK(p.window() == 60);
  CHECK(p.lookahead() == 8);
}

TEST_CASE("slow tasks bring it back at once") {
  Prefetch p({.concurrency = 2});
  for (int i = 0; i < 20; ++i) p.on_finished(8, 8 * 5e-6);
  SUBCASE("when they end") { CHECK(p.on_finished(1, 2.0)); }
  SUBCASE("while they run") { CHECK(p.on_busy(0.5)); }
  CHECK(p.window() == 8);
  CHECK(p.lookahead() == 0);
}

TEST_CASE("a chosen multiplier is kept") {
  Prefetch p({.concurrency = 2, .multiplier = 3, .strict = true});
  for (int i = 0; i < 20; ++i) CHECK_FALSE(p.on_finished(8, 8 * 5e-6));
  CHECK(p.window() == 6);
}

TEST_CASE("fair lets nothing wait inside the pool") {
  Prefetch p({.concurrency = 2, .fair = true});
  for (int i = 0; i < 20; ++i) p.on_finished(8, 8 * 5e-6);
  CHECK(p.lookahead() == 0);
}

TEST_CASE("the pool's size moves the window") {
  Prefetch p({.concurrency = 2});
  CHECK(p.resize(3));
  CHECK(p.window() == 12);
}

TEST_CASE("worker_eta_task_limit closes the intake") {
  Prefetch p({.concurrency = 2, .eta_task_limit = 10});
  CHECK_FALSE(p.eta_full(9));
  CHECK(p.eta_full(10));
  CHECK_FALSE(Prefetch({.concurrency = 2}).eta_full(1000000));
}
