// The broker contract, on Redis.
#include "tests/queues/broker_conformance.hpp"
#include "tests/queues/redis_fixture.hpp"

#include <doctest/doctest.h>

namespace celeriac::testing {
namespace {

void run_conformance(const std::string& prefix) {
  RedisServer server;
  boost::asio::io_context io;
  RedisOptions transport;
  transport.lease = 0.5;
  transport.global_keyprefix = prefix;
  BrokerFixture fixture{io};
  fixture.make = [&] { return redis_broker(io, server, transport); };
  fixture.push_raw = [&](const std::string& queue, const std::string& bytes) {
    server.run({"LPUSH", prefix + queue, bytes});
  };
  fixture.push_unreadable = fixture.push_raw;
  fixture.cut_connections = [&] {
    server.run({"CLIENT", "KILL", "TYPE", "normal"});
    server.run({"CLIENT", "KILL", "TYPE", "pubsub"});
  };
  fixture.dead_letters = [&] {
    std::vector<std::string> bytes;
    for (auto& id : server.run({"ZRANGE", prefix + "celeriac.dead", "0", "-1"}))
      bytes.push_back(server.one({"HGET", prefix + "celeriac.dead.letter." + id, "message"}));
    return bytes;
  };
  broker_conformance(fixture);
}

TEST_CASE("Redis keeps the broker's contract") { run_conformance(""); }
TEST_CASE("Redis keeps the broker's contract under a key prefix") { run_conformance("px:"); }

}  // namespace
}  // namespace celeriac::testing
