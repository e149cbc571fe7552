// The broker contract, on RabbitMQ: classic queues with priorities, and quorum queues.
#include "queues/amqp/amqp_broker.hpp"
#include "tests/queues/amqp_fixture.hpp"
#include "tests/queues/broker_conformance.hpp"

#include <doctest/doctest.h>

namespace celeriac::testing {
namespace {

void run_conformance(const Json& queue_arguments) {
  boost::asio::io_context io;
  // A vhost of its own for every subcase: empty queues.
  const std::string vhost = fresh_vhost();
  BrokerFixture fixture{io};
  fixture.make = [&] { return amqp_broker(io, vhost, queue_arguments); };
  fixture.push_raw = [&](const std::string& queue, const std::string& bytes) {
    RawClient(vhost, queue_arguments).publish(queue, bytes);
  };
  fixture.push_unreadable = [&](const std::string& queue, const std::string& bytes) {
    RawClient(vhost, queue_arguments).publish(queue, bytes, "\xff\xfe");
  };
  fixture.cut_connections = [] { shared_rabbit().cut_connections(); };
  fixture.dead_letters = [&] { return RawClient(vhost, queue_arguments).look("celeriac.dead.q"); };
  fixture.lower_number_first = false;
  fixture.has_priorities = queue_arguments.contains("x-max-priority");
  fixture.strict_window = !queue_arguments.contains("x-queue-type");
  broker_conformance(fixture);
}

TEST_CASE("RabbitMQ keeps the broker's contract on classic queues") {
  run_conformance({{"x-max-priority", 10}});
}
TEST_CASE("RabbitMQ keeps the broker's contract on quorum queues") {
  run_conformance({{"x-queue-type", "quorum"}});
}

}  // namespace
}  // namespace celeriac::testing
