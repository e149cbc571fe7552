// What one process learns about a server, another one knows; with a real Redis.
#include "tasks/engines/shared_breakers.hpp"
#include "tasks/register.hpp"
#include "tests/queues/redis_server.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <thread>
#include <vector>

using namespace celeriac;
using namespace std::chrono_literals;
using celeriac::testing::RedisServer;

namespace {

constexpr const char* server = "https://models.example/v1";

// Runs it in a process of its own; whether it was content.
bool elsewhere(const std::function<bool()>& body) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    bool content = false;
    try {
      content = body();
    } catch (const std::exception&) {
    }
    ::_exit(content ? 0 : 1);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

TEST_CASE("failures seen by two processes open the breaker of both") {
  RedisServer redis;
  SharedBreakers here(redis.url());
  for (int i = 0; i < 3; ++i) here.failed(server);
  CHECK_FALSE(here.wait_before_call(server));
  CHECK(elsewhere([&] {
    SharedBreakers there(redis.url());
    there.failed(server);
    there.failed(server);
    return there.wait_before_call(server).has_value();
  }));
  CHECK(here.wait_before_call(server) > 50s);
  CHECK_FALSE(here.wait_before_call("https://other.example"));
  CHECK(elsewhere([&] {
    SharedBreakers there(redis.url());
    there.succeeded(server);
    return true;
  }));
  CHECK_FALSE(here.wait_before_call(server));
}

TEST_CASE("a pause that a server asked for holds for all, and one caller at a time tries a server again") {
  RedisServer redis;
  SharedBreakers here(redis.url());
  here.pause(server, 40s);
  CHECK(elsewhere([&] {
    const auto wait = SharedBreakers(redis.url()).wait_before_call(server);
    return wait && *wait > 30s && *wait <= 40s;
  }));
  const std::string other = "https://other.example";
  for (int i = 0; i < 5; ++i) here.failed(other);
  // The time of the trial has come.
  redis.run({"SET", "celeriac:breaker:" + other,
             R"({"failures":5,"trials":1,"open":true,"next_trial":1,"paused_until":0})"});
  CHECK_FALSE(here.wait_before_call(other));
  CHECK(elsewhere([&] { return SharedBreakers(redis.url()).wait_before_call(other).has_value(); }));
}

TEST_CASE("many at once lose no failure") {
  RedisServer redis;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { SharedBreakers(redis.url()).failed(server); });
  for (auto& thread : threads) thread.join();
  SharedBreakers here(redis.url());
  CHECK_FALSE(here.wait_before_call(server));
  here.failed(server);
  CHECK(here.wait_before_call(server));
}

TEST_CASE("while Redis is away a process goes on with what it knew") {
  RedisServer redis;
  SharedBreakers here(redis.url());
  for (int i = 0; i < 5; ++i) here.failed(server);
  REQUIRE(here.wait_before_call(server));
  redis.kill();
  CHECK(here.wait_before_call(server) > 50s);
  const std::string other = "https://other.example";
  for (int i = 0; i < 5; ++i) here.failed(other);
  CHECK(here.wait_before_call(other));
  here.succeeded(server);
  CHECK_FALSE(here.wait_before_call(server));
}

TEST_CASE("what somebody else wrote there is nothing") {
  RedisServer redis;
  SharedBreakers here(redis.url());
  for (const std::string_view text :
       {"", "nonsense", "[]", R"({"open":7,"failures":"x","next_trial":1e300})"}) {
    redis.run({"SET", std::string("celeriac:breaker:") + server, text});
    CHECK_FALSE(here.wait_before_call(server));
  }
  redis.run({"DEL", std::string("celeriac:breaker:") + server});
  redis.run({"LPUSH", std::string("celeriac:breaker:") + server, "x"});  // an error of Redis, not a crash
  CHECK_FALSE(here.wait_before_call(server));
}

TEST_CASE("an address that is none is told of at once") {
  CHECK_THROWS_AS(SharedBreakers("http://127.0.0.1"), std::invalid_argument);
  CHECK_THROWS_AS(SharedBreakers("redis://127.0.0.1/x"), std::invalid_argument);
  CHECK_FALSE(SharedBreakers("").wait_before_call(server));
}

TEST_CASE("a worker does not start with an address that is no Redis") {
  for (const auto& [name, member] : {std::pair("circuit_breaker_url", &Settings::circuit_breaker_url),
                                     std::pair("email_quota_url", &Settings::email_quota_url),
                                     std::pair("websocket_events_url", &Settings::websocket_events_url)}) {
    Settings settings;
    settings.*member = "http://127.0.0.1";
    CHECK(application_fault(settings) == std::string(name) + ": must be a redis:// address");
    settings.*member = "redis://127.0.0.1/1";
    CHECK(application_fault(settings).empty());
  }
}
