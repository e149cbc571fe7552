#include "config/nearest.hpp"

#include <doctest/doctest.h>
#include <string>

using celeriac::nearest_word;

TEST_CASE("a mistyped word finds its neighbour, a strange one finds nothing") {
  const std::vector<std::string_view> known = {"worker_concurrency", "worker_pool", "result_expires",
                                               "purge"};
  CHECK(nearest_word("worker_concurency", known) == "worker_concurrency");
  CHECK(nearest_word("wroker_pool", known) == "worker_pool");
  CHECK(nearest_word("result_expire", known) == "result_expires");
  CHECK(nearest_word("pruge", known) == "purge");
  CHECK(nearest_word("zzzzzzzz", known) == "");
  CHECK(nearest_word("", known) == "");
  CHECK(nearest_word(std::string(5000, 'w'), known) == "");
  CHECK(nearest_word("x", {}) == "");
}
