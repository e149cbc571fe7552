#include "queues/connect.hpp"
#include "tests/queues/backend_conformance.hpp"
#include "tests/queues/cutting_proxy.hpp"
#include "tests/queues/memcached_server.hpp"

#include <doctest/doctest.h>

namespace celeriac::testing {
namespace {

MemcachedServer& server() {
  static MemcachedServer one;
  return one;
}

BackendUnderTest store_at(const std::string& url) {
  return {.make = [url](boost::asio::io_context& io, const Settings& settings) {
    return make_backend(io, settings, url);
  }};
}

}  // namespace

TEST_CASE("the memcached store keeps its contract") {
  static CuttingProxy proxy(server().port());
  server().command("flush_all");
  auto under_test = store_at("cache+memcached://127.0.0.1:" + std::to_string(proxy.port()) + "/");
  under_test.kill_connections = [&] { proxy.cut(); };
  exercise_backend(under_test);
}

TEST_CASE("keys are Celery's, and expire when result_expires says") {
  Settings settings;
  settings.result_expires = 90;
  settings.result_backend_transport_options.global_keyprefix = "shop";
  BackendLoop loop(store_at(server().url()), settings);
  CHECK(loop.store_now(result_of("ttl", state::success)).ok());
  CHECK(server().command("mg shop_celery-task-meta-ttl t").starts_with("HD t"));
  const int left = std::stoi(server().command("mg shop_celery-task-meta-ttl t").substr(4));
  CHECK(left > 80);
  CHECK(left <= 90);
  // More than 30 days would be a date in 1970 to the server.
  settings.result_expires = 90 * 86400;
  BackendLoop later(store_at(server().url()), settings);
  CHECK(later.store_now(result_of("ttl-long", state::success)).ok());
  CHECK(later.fetch("ttl-long"));
  settings.result_expires = 0;
  BackendLoop forever(store_at(server().url()), settings);
  CHECK(forever.store_now(result_of("ttl-never", state::success)).ok());
  CHECK(server().command("mg shop_celery-task-meta-ttl-never t") == "HD t-1");
}

TEST_CASE("a result that memcached never takes is an error for its task alone") {
  MemcachedServer small("1m");
  BackendLoop loop(store_at(small.url()));
  for (int i = 0; i < 50; ++i)
    loop.store(result_of(i == 7   ? "with a blank"
                         : i == 8 ? std::string(250, 'x')
                                  : "row-" + std::to_string(i),
                         state::success, "\"" + std::string(i == 9 ? 2000000 : 10, 'x') + "\""));
  REQUIRE(loop.flush());
  CHECK(loop.failures == 3);
  CHECK(loop.stored == 47);
  CHECK(loop.times_lost == 0);
}

TEST_CASE("several servers share the keys") {
  MemcachedServer first, second;
  BackendLoop loop(store_at("cache+memcached://127.0.0.1:" + std::to_string(first.port()) +
                            ";127.0.0.1:" + std::to_string(second.port()) + "/"));
  for (int i = 0; i < 100; ++i) loop.store(result_of("shared-" + std::to_string(i), state::success));
  REQUIRE(loop.flush());
  int on_first = 0, on_second = 0;
  for (int i = 0; i < 100; ++i) {
    const std::string question = "mg celery-task-meta-shared-" + std::to_string(i);
    on_first += first.command(question) == "HD";
    on_second += second.command(question) == "HD";
  }
  CHECK(on_first > 0);
  CHECK(on_second > 0);
  CHECK(on_first + on_second == 100);
}

TEST_CASE("results wait for a server that is not there yet") {
  auto absent = std::make_unique<MemcachedServer>();
  const auto port = absent->port();
  absent.reset();
  BackendLoop loop(store_at("cache+memcached://127.0.0.1:" + std::to_string(port)));
  loop.store(result_of("early", state::success, "1"));
  REQUIRE(loop.run_until([&] { return loop.times_lost > 0; }));
  MemcachedServer come("1m", port);
  REQUIRE(loop.flush());
  CHECK(loop.failures == 0);
  CHECK((*loop.fetch("early"))["result"] == 1);

  boost::asio::io_context io;
  CHECK_FALSE(make_backend(io, {}, "cache+memcached://").has_value());
  CHECK_FALSE(make_backend(io, {}, "cache+memcached://host:0/").has_value());
  CHECK_FALSE(make_backend(io, {}, "cache+memory://").has_value());
}

}  // namespace celeriac::testing
