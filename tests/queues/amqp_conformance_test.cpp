// The broker contract, on RabbitMQ: classic queues with priorities, and quorum queues.
#include "queues/amqp/amqp_broker.hpp"
#include "tests/queues/amqp_fixture.hpp"
#include "tests/queues/broker_conformance.hpp"
#include "tests/queues/loop.hpp"

#include <doctest/doctest.h>
#include <functional>
#include <set>
#include <utility>

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

// A worker on quorum queues that notes what it gets.
struct QuorumWorker {
  boost::asio::io_context io;
  std::string vhost = fresh_vhost();
  Json quorum = {{"x-queue-type", "quorum"}};
  RawClient client{vhost, quorum};
  std::unique_ptr<amqp::AmqpBroker> broker = amqp_broker(io, vhost, quorum);
  std::vector<std::string> lost, bodies;
  std::function<void(const Delivery&)> on_delivery = [this](const Delivery& d) { broker->ack(d.tag); };

  explicit QuorumWorker(unsigned window) {
    Broker::Handlers handlers;
    handlers.on_state = [this](BrokerState state, std::string why) {
      if (state == BrokerState::lost) lost.push_back(std::move(why));
    };
    handlers.on_deliveries = [this](std::vector<Delivery>&& batch) {
      for (const auto& delivery : batch) {
        bodies.push_back(delivery.message.body);
        on_delivery(delivery);
      }
    };
    broker->start(std::move(handlers));
    broker->set_window(window);
    broker->consume({"q", "r"});
  }
  bool gets(std::size_t count) {
    return run_until(io, [&] { return bodies.size() >= count; });
  }
  bool has_consumers(std::uint32_t count) {
    return run_until(io, [&] { return client.consumers("q") == count; });
  }
};

// RabbitMQ 3.10 keeps what is on its way to a cancelled consumer of a quorum queue until the channel closes,
// and ends the connection when one is cancelled that it has not confirmed yet.
TEST_CASE("a window that changes all the time delays nothing on a quorum queue") {
  QuorumWorker worker(1);
  worker.client.publish("q", "0");
  REQUIRE(worker.gets(1));
  CHECK(worker.broker->fixed_window());
  for (unsigned n = 1; n < 400; ++n) {
    worker.client.publish("q", std::to_string(n));
    worker.broker->set_window(n % 40 < 20 ? n % 40 + 1 : 1);
    worker.io.run_one_for(std::chrono::milliseconds(1));
  }
  REQUIRE(worker.gets(400));
  CHECK(std::set(worker.bodies.begin(), worker.bodies.end()).size() == 400);
  CHECK(worker.lost == std::vector<std::string>());
  worker.broker->set_window(1);
  CHECK(worker.has_consumers(1));
}

TEST_CASE("messages that wait for their time do not fill the window of a quorum queue") {
  QuorumWorker worker(4);
  const auto due = Clock::now() + std::chrono::seconds(3600);
  worker.on_delivery = [&](const Delivery& d) { worker.broker->defer(d.tag, due); };
  for (int n = 0; n < 50; ++n) worker.client.publish("q", "later");
  REQUIRE(worker.gets(50));
  worker.on_delivery = [&](const Delivery& d) { worker.broker->ack(d.tag); };
  for (int n = 0; n < 10; ++n) worker.client.publish("q", "now");
  REQUIRE(worker.gets(60));
  CHECK(worker.client.consumers("q") < 12);
  std::size_t restored = 0;
  bool stopped = false;
  worker.broker->stop([&](std::size_t count) { restored = count, stopped = true; });
  REQUIRE(run_until(worker.io, [&] { return stopped; }));
  CHECK(restored == 50);
  CHECK(worker.client.look("q").size() == 50);
}

TEST_CASE("a quorum queue that is not consumed any more gets back what was on its way") {
  QuorumWorker worker(8);
  std::vector<Tag> held;
  worker.on_delivery = [&](const Delivery& d) { held.push_back(d.tag); };
  for (int n = 0; n < 300; ++n) worker.client.publish("q", std::to_string(n));
  REQUIRE(worker.gets(8));
  for (const Tag tag : std::exchange(held, {})) worker.broker->ack(tag);
  worker.io.run_one_for(std::chrono::milliseconds(10));
  worker.broker->consume({"r"});  // now the next eight are on their way
  REQUIRE(worker.has_consumers(0));
  for (const Tag tag : held) worker.broker->ack(tag);
  REQUIRE(run_until(worker.io, [&] { return worker.client.look("q").size() == 300 - worker.bodies.size(); }));
}

}  // namespace
}  // namespace celeriac::testing
