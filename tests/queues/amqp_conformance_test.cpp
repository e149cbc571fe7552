// The broker contract, on RabbitMQ: classic queues with priorities, and quorum queues.
#include "queues/amqp/amqp_broker.hpp"
#include "tests/queues/amqp_fixture.hpp"
#include "tests/queues/broker_conformance.hpp"
#include "tests/queues/loop.hpp"

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

// RabbitMQ ends the connection when a quorum queue's consumer is cancelled that it has not confirmed yet.
TEST_CASE("a window that changes all the time costs no connection on a quorum queue") {
  boost::asio::io_context io;
  const std::string vhost = fresh_vhost();
  const Json quorum = {{"x-queue-type", "quorum"}};
  auto broker = amqp_broker(io, vhost, quorum);
  std::vector<std::string> lost, bodies;
  Broker::Handlers handlers;
  handlers.on_state = [&](BrokerState state, std::string why) {
    if (state == BrokerState::lost) lost.push_back(std::move(why));
  };
  handlers.on_deliveries = [&](std::vector<Delivery>&& batch) {
    for (const auto& delivery : batch) {
      bodies.push_back(delivery.message.body);
      broker->ack(delivery.tag);
    }
  };
  broker->start(std::move(handlers));
  broker->set_window(1);
  broker->consume({"q"});
  RawClient client(vhost, quorum);
  client.publish("q", "1");
  REQUIRE(run_until(io, [&] { return bodies.size() == 1; }));
  for (unsigned window = 2; window < 200; ++window) {
    broker->set_window(window);
    io.run_one_for(std::chrono::milliseconds(1));
  }
  client.publish("q", "2");
  REQUIRE(run_until(io, [&] { return bodies.size() == 2; }));
  CHECK(lost == std::vector<std::string>());
}

}  // namespace
}  // namespace celeriac::testing
