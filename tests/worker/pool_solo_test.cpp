#include "tests/worker/pool_conformance.hpp"

#include <doctest/doctest.h>

TEST_CASE("the solo pool is a pool") {
  celeriac::PoolTraits traits;
  traits.name = "solo";
  traits.many_slots = false;
  traits.soft_limit = false;
  celeriac::check_pool_conformance(traits);
}
