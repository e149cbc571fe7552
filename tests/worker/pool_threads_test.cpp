#include "tests/worker/pool_conformance.hpp"

#include <doctest/doctest.h>

using namespace celeriac;

TEST_CASE("the threads pool is a pool") {
  PoolTraits traits;
  traits.name = "threads";
  check_pool_conformance(traits);
}

TEST_CASE("an unknown pool is refused with the known ones") {
  boost::asio::io_context io;
  const App app;
  const auto pool = make_pool("gevent", io, app, {});
  REQUIRE_FALSE(pool);
  CHECK(pool.error().what.find("prefork, threads, solo or async") != std::string::npos);
}

TEST_CASE("threads run at the same time") {
  PoolOptions options;
  options.slots = 3;
  PoolHarness h("threads", options);
  for (int i = 0; i < 3; ++i) h.submit("nap", "[0.4]");
  h.until([&] { return h.pool->busy() == 3; });
  h.until_finished(3);
  CHECK(h.finished.at(1).usage.wall >= 0.4);
  CHECK(h.finished.at(1).usage.cpu < 0.2);
}
