#include "worker/revoked.hpp"

#include <doctest/doctest.h>

using celeriac::RevokedSet;

TEST_CASE("an id is revoked for a while") {
  RevokedSet set(10, 100);
  set.add("a", 0);
  CHECK(set.contains("a", 99));
  CHECK_FALSE(set.contains("a", 100));
  CHECK_FALSE(set.contains("b", 0));
}

TEST_CASE("adding again starts its time anew") {
  RevokedSet set(10, 100);
  set.add("a", 0);
  set.add("a", 60);
  set.add("b", 110);
  CHECK(set.contains("a", 150));
}

TEST_CASE("the set is bounded, the oldest go first") {
  RevokedSet set(3, 1000);
  for (int i = 0; i < 5; ++i) set.add(std::to_string(i), i);
  CHECK(set.size() == 3);
  CHECK_FALSE(set.contains("1", 5));
  CHECK(set.contains("4", 5));
  for (int i = 0; i < 1000; ++i) set.add("4", 6 + i * 0.001);
  CHECK(set.contains("4", 8));
}
