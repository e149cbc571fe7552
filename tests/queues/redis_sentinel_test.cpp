// Masters that move, and servers that answer but cannot serve: what is said, and that nothing is lost.
#include "queues/connect.hpp"
#include "tests/queues/backend_conformance.hpp"
#include "tests/queues/loop.hpp"
#include "tests/queues/redis_server.hpp"
#include "tests/queues/sentinel_cluster.hpp"

#include <doctest/doctest.h>

#include <set>
#include <thread>

namespace celeriac::testing {
namespace {

using namespace std::chrono_literals;

BackendUnderTest store_at(const std::string& url) {
  return {.make = [url](boost::asio::io_context& io, const Settings& settings) {
    return make_backend(io, settings, url);
  }};
}

Settings known_master(const std::string& sentinel_password = "") {
  Settings settings;
  for (auto* options : {&settings.broker_transport_options, &settings.result_backend_transport_options}) {
    options->master_name = SentinelCluster::name;
    options->lease = 2;
    if (!sentinel_password.empty()) options->sentinel_kwargs["password"] = sentinel_password;
  }
  return settings;
}

std::string value_of(const RedisServer& server, const std::string& id) {
  return server.one({"GET", "celery-task-meta-" + id});
}

// Takes every message of "q" and acknowledges it.
struct Worker {
  Worker(boost::asio::io_context& io, const Settings& settings) {
    auto made = make_broker(io, settings);
    REQUIRE_MESSAGE(made.has_value(), (made ? "" : made.error().what));
    broker = std::move(*made);
    Broker::Handlers handlers;
    handlers.on_deliveries = [this](std::vector<Delivery>&& batch) {
      for (auto& delivery : batch) {
        seen.insert(delivery.message.body);
        broker->ack(delivery.tag);
      }
    };
    handlers.on_state = [this](BrokerState state, const std::string& what) {
      times_connected += state == BrokerState::connected;
      if (!what.empty()) said = what;
    };
    broker->set_window(16);
    broker->start(std::move(handlers));
  }

  void publish(const std::string& body) {
    Message message;
    message.body = body;
    message.content_type = "application/json";
    message.properties.routing_key = "q";
    broker->publish(std::move(message), [this](const Status& status) { published += status.ok(); });
  }

  std::unique_ptr<Broker> broker;
  std::set<std::string> seen;
  int published = 0, times_connected = 0;
  std::string said;
};

}  // namespace

TEST_CASE("results go to the master the sentinels name, also to the next one") {
  SentinelCluster cluster("s3rvers", "s3ntinels");
  BackendLoop loop(store_at(cluster.url(2)), known_master("s3ntinels"));
  CHECK(loop.backend->display_url().find("s3rvers") == std::string::npos);
  for (int i = 0; i < 1000; ++i) loop.store(result_of("before-" + std::to_string(i), state::success, "1"));
  REQUIRE(loop.flush());
  cluster.await_replica();
  cluster.first().kill();
  for (int i = 0; i < 1000; ++i) loop.store(result_of("after-" + std::to_string(i), state::success, "2"));
  REQUIRE(loop.flush());
  CHECK(loop.failures == 0);
  CHECK(loop.times_lost > 0);
  cluster.await_promotion();
  for (int i = 0; i < 1000; ++i) {
    CHECK((*loop.fetch("before-" + std::to_string(i)))["result"] == 1);
    CHECK((*loop.fetch("after-" + std::to_string(i)))["result"] == 2);
  }
  // The old master comes back as a replica, and is left alone.
  cluster.first().start();
  CHECK(loop.store_now(result_of("later", state::success, "3")).ok());
}

TEST_CASE("a master killed in the middle of the work loses no message the replica had") {
  SentinelCluster cluster;
  boost::asio::io_context io;
  Settings settings = known_master();
  settings.broker_url = cluster.url();
  Worker worker(io, settings);
  for (int i = 0; i < 2000; ++i) worker.publish("m-" + std::to_string(i));
  REQUIRE(run_until(io, [&] { return worker.published == 2000; }));
  cluster.await_replica();
  worker.broker->consume({"q"});
  REQUIRE(run_until(io, [&] { return worker.seen.size() > 500; }));
  cluster.first().kill();
  for (int i = 2000; i < 2100; ++i) worker.publish("m-" + std::to_string(i));
  REQUIRE(run_until(
      io, [&] { return worker.seen.size() == 2100; }, 90s));
  CHECK(worker.published == 2100);
  auto& master = cluster.second();
  CHECK(run_until(
      io,
      [&] {
        return master.number({"HLEN", "unacked"}) == 0 && master.number({"LLEN", "q"}) == 0;
      },
      30s));
}

TEST_CASE("a failover that was asked for is followed while messages flow") {
  SentinelCluster cluster;
  boost::asio::io_context io;
  Settings settings = known_master();
  settings.broker_url = cluster.url();
  Worker worker(io, settings);
  worker.broker->consume({"q"});
  REQUIRE(run_until(io, [&] { return worker.times_connected == 1; }));
  std::thread switching([&] { cluster.fail_over(); });
  int sent = 0;
  // What was confirmed by the old master after its replica took over went with it; that is Redis's way.
  const auto flowing = [&] {
    if (sent - worker.published < 20 && sent < 100000) worker.publish("m-" + std::to_string(sent++));
    return worker.times_connected > 1;
  };
  CHECK(run_until(io, flowing, 60s));
  switching.join();
  cluster.await_promotion();
  const auto before = worker.seen.size();
  for (int i = 0; i < 500; ++i) worker.publish("late-" + std::to_string(i));
  CHECK(run_until(
      io, [&] { return worker.seen.size() >= before + 500 && worker.seen.contains("late-499"); }, 60s));
}

TEST_CASE("sentinels that do not know the master, or are none, are named") {
  RedisServer plain;
  auto sentinel = RedisServer::sentinel();
  const auto said = [](const std::string& url, const Settings& settings) {
    BackendLoop loop(store_at(url), settings);
    REQUIRE(loop.run_until([&] { return loop.times_lost > 0; }));
    return loop.last_failure;
  };
  const std::string port = std::to_string(sentinel->port());
  CHECK(said("sentinel://127.0.0.1:" + port, known_master()).find("has no master called 'orders'") !=
        std::string::npos);
  CHECK(
      said("sentinel://127.0.0.1:" + std::to_string(plain.port()), known_master()).find("unknown command") !=
      std::string::npos);
  boost::asio::io_context io;
  auto nameless = make_backend(io, {}, "sentinel://127.0.0.1:" + port);
  REQUIRE_FALSE(nameless.has_value());
  CHECK(nameless.error().what.find("master_name") != std::string::npos);
  CHECK_FALSE(make_backend(io, known_master(), "sentinel://a;redis://b").has_value());
}

TEST_CASE("a server that became a replica is waited for") {
  RedisServer redis, elsewhere;
  BackendLoop loop(store_at(redis.url()));
  CHECK(loop.store_now(result_of("first", state::success)).ok());
  redis.run({"REPLICAOF", "127.0.0.1", std::to_string(elsewhere.port())});
  for (int i = 0; i < 100; ++i) loop.store(result_of("later-" + std::to_string(i), state::success, "1"));
  REQUIRE(loop.run_until([&] { return loop.times_lost > 0; }));
  CHECK(loop.last_failure.find("READONLY") != std::string::npos);
  CHECK(loop.stored == 0);
  redis.run({"REPLICAOF", "NO", "ONE"});
  REQUIRE(loop.flush());
  CHECK(loop.failures == 0);
  CHECK(value_of(redis, "later-99").find("SUCCESS") != std::string::npos);
}

TEST_CASE("a server that loads its data is waited for") {
  RedisServer redis({"--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024"});
  for (int i = 0; i < 500; ++i) redis.run({"SET", "filler-" + std::to_string(i), std::string(2000, 'x')});
  redis.run({"SAVE"});
  BackendLoop loop(store_at(redis.url()));
  CHECK(loop.store_now(result_of("first", state::success)).ok());
  redis.run({"SAVE"});
  redis.kill();
  std::thread starting([&] { redis.start(); });  // returns when the data is there
  for (int i = 0; i < 100; ++i) loop.store(result_of("later-" + std::to_string(i), state::success, "1"));
  std::set<std::string> said;
  REQUIRE(loop.run_until([&] {
    said.insert(loop.last_failure.substr(0, 7));
    return loop.pending == 0;
  }));
  starting.join();
  CHECK(said.contains("LOADING"));
  CHECK(loop.failures == 0);
  CHECK(value_of(redis, "first").find("SUCCESS") != std::string::npos);
}

TEST_CASE("a Redis Cluster is refused in words") {
  RedisServer other;  // its port is free for the cluster's bus once it is gone
  other.kill();
  RedisServer cluster({"--cluster-enabled", "yes", "--cluster-port", std::to_string(other.port())});
  BackendLoop loop(store_at(cluster.url()));
  loop.store(result_of("x", state::success));
  REQUIRE(loop.run_until([&] { return loop.times_lost > 0; }));
  CHECK(loop.last_failure.find("part of a Redis Cluster") != std::string::npos);
}

}  // namespace celeriac::testing
