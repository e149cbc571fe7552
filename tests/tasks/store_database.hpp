// One private server for a test program, and a fresh empty database in it for each test.
#pragma once

#include "tests/queues/postgres_server.hpp"

#include <string>

namespace celeriac::testing {

inline PostgresServer& server() {
  static PostgresServer shared({"fsync=off"});  // durability is not what these tests are about
  return shared;
}

// The URL of a database nobody has used.
inline std::string fresh_database() {
  static int number = 0;
  const std::string name = "store_" + std::to_string(++number);
  server().sql("CREATE DATABASE " + name);
  return server().url("postgresql", name);
}

}  // namespace celeriac::testing
