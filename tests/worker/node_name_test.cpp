#include "worker/node_name.hpp"

#include <doctest/doctest.h>

using namespace celeriac;

TEST_CASE("node names") {
  CHECK(expand_node_name("celery@%h", "box.example.com") == "celery@box.example.com");
  CHECK(expand_node_name("w1@%n", "box.example.com") == "w1@box");
  CHECK(expand_node_name("w1@%d", "box.example.com") == "w1@example.com");
  CHECK(expand_node_name("w1", "box") == "w1@box");
  CHECK(expand_node_name("50%%@x", "box") == "50%@x");
  CHECK(expand_node_name("w%", "box") == "w%@box");
}

TEST_CASE("paths") {
  CHECK(expand_path("log-%n-%h-%I%i.log", "dbg@vm") == "log-dbg-vm-0.log");
  CHECK(expand_path("log-%n-%h-%I%i.log", "dbg@vm", 1) == "log-dbg-vm--11.log");
  CHECK(expand_path("/run/%p.pid", "dbg@vm.lan") == "/run/dbg@vm.lan.pid");
  CHECK(expand_path("%d", "dbg@vm.lan") == "lan");
}
