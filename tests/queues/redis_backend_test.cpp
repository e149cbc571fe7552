#include "queues/connect.hpp"
#include "queues/result_keys.hpp"
#include "tests/queues/backend_conformance.hpp"
#include "tests/queues/loop.hpp"
#include "tests/queues/redis_server.hpp"

#include <doctest/doctest.h>
#include <hiredis/hiredis.h>
#include <memory>

namespace celeriac::testing {
namespace {

RedisServer& server() {
  static RedisServer one;
  return one;
}

BackendUnderTest redis_store(const RedisServer& redis = server()) {
  return {.make = [&](boost::asio::io_context& io,
                      const Settings& s) { return make_backend(io, s, redis.url(3)); },
          .kill_connections =
              [&] {
                redis.run({"CLIENT", "KILL", "TYPE", "normal"});
                redis.run({"CLIENT", "KILL", "TYPE", "pubsub"});
              }};
}

// A client that sends SUBSCRIBE and does not wait for the answer, as Celery's do.
class Subscriber {
 public:
  explicit Subscriber(const RedisServer& redis)
      : context_(redisConnectWithTimeout("127.0.0.1", redis.port(), {10, 0}), redisFree) {
    redisSetTimeout(context_.get(), {10, 0});
    freeReplyObject(redisCommand(context_.get(), "PING"));  // the server knows the connection
  }
  void subscribe(const std::string& channel) {
    redisAppendCommand(context_.get(), "SUBSCRIBE %s", channel.c_str());
    for (int done = 0; !done;) REQUIRE(redisBufferWrite(context_.get(), &done) == REDIS_OK);
  }
  // What the next message says; "" when none comes.
  std::string next() {
    for (;;) {
      void* answer = nullptr;
      if (redisGetReply(context_.get(), &answer) != REDIS_OK) return "";
      const std::unique_ptr<redisReply, void (*)(void*)> reply(static_cast<redisReply*>(answer),
                                                               freeReplyObject);
      if (reply->elements == 3 && std::string_view(reply->element[0]->str) == "message")
        return {reply->element[2]->str, reply->element[2]->len};
    }
  }

 private:
  std::unique_ptr<redisContext, void (*)(redisContext*)> context_;
};

}  // namespace

TEST_CASE("the Redis store keeps its contract") { exercise_backend(redis_store()); }

TEST_CASE("a result expires when result_expires says, and with 0 never") {
  Settings settings;
  settings.result_expires = 90;
  BackendLoop loop(redis_store(), settings);
  CHECK(loop.store_now(result_of("ttl", state::success)).ok());
  CHECK(loop.store_now(result_of("ttl", state::success)).ok());
  CHECK(loop.store_now(result_of("ttl-2", state::started)).ok());
  CHECK(loop.store_now(result_of("ttl-2", state::success)).ok());
  settings.result_expires = 0;
  BackendLoop forever(redis_store(), settings);
  CHECK(forever.store_now(result_of("no-ttl", state::success)).ok());
  const auto ttl = [](std::string_view id) {
    return server().number(
        {"EVAL", "redis.call('SELECT', 3) return redis.call('TTL', KEYS[1])", "1", task_key("", id)});
  };
  CHECK(ttl("ttl") > 80);
  CHECK(ttl("ttl") <= 90);
  CHECK(ttl("ttl-2") > 80);
  CHECK(ttl("no-ttl") == -1);
}

TEST_CASE("the last part of a chord learns that it is the last, once each") {
  BackendLoop loop(redis_store());
  REQUIRE(loop.backend->counts_chords());
  const auto part = [&](const char* id, std::int64_t index, std::string_view state, const char* result) {
    ChordPart end{"chord", id, index, std::string(state), result};
    std::optional<Expected<std::optional<ChordParts>>> answer;
    loop.backend->add_chord_part(std::move(end),
                                 [&](Expected<std::optional<ChordParts>> all) { answer = std::move(all); });
    REQUIRE(loop.run_until([&] { return answer.has_value(); }));
    REQUIRE(answer->has_value());
    return std::move(**answer);
  };
  const auto finish = [&](auto&& call) {
    std::optional<Status> status;
    call([&](Status s) { status = std::move(s); });
    REQUIRE(loop.run_until([&] { return status.has_value(); }));
    CHECK(status->what == "");
  };
  CHECK(!part("a", 1, state::failure, "{}"));
  CHECK(!part("a", 1, state::success, "[1]"));  // ran again: one part all the same
  CHECK(!part("a", 1, state::failure, "{}"));   // and a success stays
  finish([&](Done done) { loop.backend->set_chord_size("chord", 1, std::move(done)); });
  finish([&](Done done) { loop.backend->grow_chord("chord", std::move(done)); });
  const auto all = part("b", 0, state::success, "2");
  REQUIRE(all);
  CHECK(!all->group);
  CHECK(all->members == std::vector<std::string>{R"([1, "b", "SUCCESS", 2])", R"([1, "a", "SUCCESS", [1]])"});
  finish([&](Done done) { loop.backend->save_group("chord", Json::array({1, 2}), std::move(done)); });
  const auto again = part("b", 0, state::success, "2");
  REQUIRE(again);
  CHECK(again->group == Json::array({1, 2}));
  finish([&](Done done) { loop.backend->forget_chord("chord", std::move(done)); });
  CHECK(!part("b", 0, state::success, "2"));
}

TEST_CASE("a prefix gets Celery's underscore unless it ends in a separator") {
  RedisOptions options;
  CHECK(result_prefix(options) == "");
  for (auto [given, used] : {std::pair{"app", "app_"},
                             {"app:", "app:"},
                             {"app_", "app_"},
                             {"app-", "app-"},
                             {"app.", "app."},
                             {"app1", "app1_"}}) {
    options.global_keyprefix = given;
    CHECK(result_prefix(options) == used);
  }
  Settings settings;
  settings.result_backend_transport_options.global_keyprefix = "team";
  BackendLoop loop(redis_store(), settings);
  CHECK(loop.store_now(result_of("prefixed", state::success)).ok());
  CHECK(server().number({"EVAL", "redis.call('SELECT', 3) return redis.call('EXISTS', KEYS[1])", "1",
                         "team_celery-task-meta-prefixed"}) == 1);
}

TEST_CASE("the published bytes are the stored bytes") {
  BackendLoop loop(redis_store());
  const auto result = result_of("bytes", state::success, R"({"total": 5})");
  CHECK(loop.store_now(result).ok());
  CHECK(server().one({"EVAL", "redis.call('SELECT', 3) return redis.call('GET', KEYS[1])", "1",
                      "celery-task-meta-bytes"}) == write_result(result));
  auto waited = loop.wait("bytes", std::chrono::seconds(2));
  CHECK(waited.has_value());
}

TEST_CASE("a client that subscribes while its result is stored hears of it") {
  RedisServer redis;
  BackendLoop loop(redis_store(redis));
  REQUIRE(loop.store_now(result_of("before", state::success)).ok());
  // What comes while the server stands still is served in one go: the store, its PUBLISH, then the
  // subscription.
  Subscriber subscriber(redis);
  redis.freeze();
  bool stored = false;
  loop.backend->store(result_of("late", state::success), [&](const Status&) { stored = true; });
  run_for(loop.io,
          std::chrono::milliseconds(50));  // it is written by now; were it not, the test would still be right
  subscriber.subscribe(task_key("", "late"));
  redis.thaw();
  CHECK(loop.run_until([&] { return stored; }));
  loop.stop();
  CHECK(subscriber.next().find("\"SUCCESS\"") != std::string::npos);
}

TEST_CASE("a key of another type is an error for its task alone") {
  BackendLoop loop(redis_store());
  server().run({"EVAL", "redis.call('SELECT', 3) return redis.call('RPUSH', KEYS[1], 'x')", "1",
                "celery-task-meta-list"});
  loop.store(result_of("list-neighbour-1", state::success, "1"));
  loop.store(result_of("list", state::success, "1"));
  loop.store(result_of("list-neighbour-2", state::success, "2"));
  REQUIRE(loop.flush());
  CHECK(loop.stored == 2);
  CHECK(loop.failures == 1);
  CHECK(loop.last_failure.find("celery-task-meta-list") != std::string::npos);
  CHECK((*loop.fetch("list-neighbour-2"))["result"] == 2);
}

TEST_CASE("results wait for a server that has no memory left") {
  RedisServer redis({"--maxmemory-policy", "noeviction"});
  BackendLoop loop(redis_store(redis));
  CHECK(loop.store_now(result_of("before", state::success)).ok());
  redis.run({"CONFIG", "SET", "maxmemory", "1"});
  loop.store(result_of("full", state::success, "1"));
  REQUIRE(loop.run_until([&] { return loop.times_lost > 0; }));
  CHECK(loop.pending == 1);
  redis.run({"CONFIG", "SET", "maxmemory", "0"});
  REQUIRE(loop.flush());
  CHECK(loop.failures == 0);
  CHECK(loop.times_connected == 2);  // reported as well again
  CHECK((*loop.fetch("full"))["result"] == 1);
}

TEST_CASE("results survive a restart of the server and an emptied script cache") {
  RedisServer redis({"--appendonly", "yes", "--appendfsync", "always"});
  BackendLoop loop(redis_store(redis));
  CHECK(loop.store_now(result_of("early", state::success, "1")).ok());
  redis.run({"SCRIPT", "FLUSH"});
  CHECK(loop.store_now(result_of("flushed", state::success, "2")).ok());
  redis.kill();
  REQUIRE(loop.run_until([&] { return loop.times_lost > 1; }));
  loop.store(result_of("away", state::success, "3"));
  redis.start();
  REQUIRE(loop.flush());
  CHECK((*loop.fetch("early"))["result"] == 1);
  CHECK((*loop.fetch("flushed"))["result"] == 2);
  CHECK((*loop.fetch("away"))["result"] == 3);
}

TEST_CASE("a wait ends at its limit although the server is away") {
  RedisServer redis;
  BackendLoop loop(redis_store(redis));
  CHECK(loop.store_now(result_of("x", state::success)).ok());
  redis.kill();
  CHECK_FALSE(loop.wait("nobody", std::chrono::milliseconds(200)));
}

}  // namespace celeriac::testing
