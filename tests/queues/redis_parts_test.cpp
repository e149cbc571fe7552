// The deciding parts of the Redis broker, without a server.
#include "queues/backoff.hpp"
#include "queues/due_queue.hpp"
#include "queues/redis/claim_policy.hpp"
#include "queues/redis/connection.hpp"
#include "queues/redis/holdings.hpp"
#include "queues/redis/keys.hpp"
#include "queues/redis/request.hpp"
#include "queues/redis/router.hpp"
#include "queues/redis/stored.hpp"

#include <doctest/doctest.h>

namespace celeriac::redis {
namespace {

using std::chrono::milliseconds;

TEST_CASE("backoff: fast first, then Celery's steps, never more than 30 s") {
  Backoff backoff({});
  const int plan[] = {100, 2000, 4000, 6000};
  for (int most : plan) {
    auto wait = backoff.next();
    REQUIRE(wait);
    CHECK(*wait <= milliseconds(most));
    CHECK(*wait >= milliseconds(most * 3 / 4));
  }
  for (int i = 0; i < 100; ++i) CHECK(*backoff.next() <= milliseconds(30000));
  backoff.succeeded();
  CHECK(*backoff.next() <= milliseconds(100));
}

TEST_CASE("backoff: retries are counted only before the first success") {
  Backoff backoff({.max_retries = 2});
  CHECK(backoff.next());
  CHECK(backoff.next());
  CHECK_FALSE(backoff.next());
  Backoff lucky({.max_retries = 2});
  lucky.succeeded();
  for (int i = 0; i < 10; ++i) CHECK(lucky.next());
  CHECK_FALSE(Backoff({.max_retries = -1}).next());
}

TEST_CASE("due queue: earliest first, equal times by tag") {
  DueQueue queue;
  const Clock::time_point zero{};
  queue.add(zero + milliseconds(30), 3);
  queue.add(zero + milliseconds(10), 2);
  queue.add(zero + milliseconds(10), 1);
  queue.add(zero + milliseconds(20), 4);
  CHECK(*queue.next_due() == zero + milliseconds(10));
  CHECK(queue.take_due(zero + milliseconds(5), 10).empty());
  CHECK(queue.take_due(zero + milliseconds(20), 2) == std::vector<Tag>{1, 2});
  CHECK(queue.take_due(zero + milliseconds(20), 10) == std::vector<Tag>{4});
  CHECK(queue.take_all() == std::vector<Tag>{3});
  CHECK_FALSE(queue.next_due());
}

TEST_CASE("claim policy: large claims, but no idle slot") {
  ClaimPolicy policy;
  policy.set_window(8);
  CHECK(policy.when(0) == ClaimPolicy::When::now);
  CHECK(policy.when(4) == ClaimPolicy::When::now);
  CHECK(policy.when(5) == ClaimPolicy::When::soon);
  CHECK(policy.when(8) == ClaimPolicy::When::no);
  CHECK(policy.when(9) == ClaimPolicy::When::no);
  CHECK(policy.count(5) == 3);
  CHECK(policy.count(9) == 0);
  policy.set_window(1);
  CHECK(policy.when(0) == ClaimPolicy::When::now);
  policy.set_window(0);
  CHECK(policy.when(100000) == ClaimPolicy::When::now);
  CHECK(policy.count(100000) == ClaimPolicy::largest_claim);
}

TEST_CASE("body sizes: one large body is remembered, and forgotten again") {
  BodySizes sizes;
  CHECK_FALSE(sizes.are_large());
  CHECK(sizes.chunk() > 1);
  sizes.seen(1000000);
  CHECK(sizes.are_large());
  CHECK(sizes.chunk() == 1);
  CHECK(sizes.large_count(100) == 4);
  CHECK(sizes.large_count(2) == 2);
  sizes.seen(600u << 20);
  CHECK(sizes.large_count(100) == 1);
  for (int i = 0; i < 30; ++i) sizes.seen(100);
  CHECK_FALSE(sizes.are_large());
  CHECK(sizes.chunk() == 64);
}

TEST_CASE("keys are kombu's") {
  RedisOptions options;
  Keys keys(options);
  CHECK(keys.list("celery", 0) == "celery");
  CHECK(keys.list("celery", 9) ==
        "celery\x06\x16"
        "9");
  CHECK(keys.list_for_priority("celery", 5) ==
        "celery\x06\x16"
        "3");
  CHECK(keys.list_for_priority("celery", -4) == "celery");
  CHECK(keys.list_for_priority("celery", 255) ==
        "celery\x06\x16"
        "9");
  CHECK(keys.binding("celery") == "_kombu.binding.celery");
  CHECK(keys.binding_member("celery") ==
        "celery\x06\x16\x06\x16"
        "celery");
  CHECK(keys.unacked == "unacked");
  options.global_keyprefix = "px:";
  CHECK(Keys(options).list("q", 3) ==
        "px:q\x06\x16"
        "3");
  CHECK(Keys(options).lease("x") == "px:celeriac.lease.x");
  CHECK(unacked_tail("a\"b") == ", \"\", \"a\\\"b\"]");
}

TEST_CASE("unacked entries are taken apart without touching the envelope") {
  auto stored = split_stored(R"([{"body": "a]\"}", "x": [1, {"y": 2}]}, "ex", "r\"k"])");
  REQUIRE(stored);
  CHECK(stored->envelope == R"({"body": "a]\"}", "x": [1, {"y": 2}]})");
  CHECK(stored->exchange == "ex");
  CHECK(stored->routing_key == "r\"k");
  CHECK(split_stored("[null, \"\", \"q\"]")->envelope == "null");
  for (auto bad : {"", "[", "[]", "{}", "[{}", "[{}, \"a\"]", "[{}, 1, 2]", "[{}, \"a\", \"b\"", "[\"\\"})
    CHECK_FALSE(split_stored(bad));
}

TEST_CASE("bindings route as kombu's direct and topic exchanges do") {
  const std::vector<std::string> members = {"a||q1", "b||q2", "x|^a\\..*$|q3", "bad", "y|(|q4"};
  CHECK(bound_queues(members, "a", "|") == std::vector<std::string>{"q1"});
  CHECK(bound_queues(members, "a.b", "|") == std::vector<std::string>{"q3"});
  CHECK(bound_queues(members, "c", "|").empty());
}

TEST_CASE("requests are RESP") {
  Request request;
  request.add("SET", "k", 12).begin(1).arg("PING");
  CHECK(request.bytes() == "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n12\r\n*1\r\n$4\r\nPING\r\n");
  CHECK(request.commands() == 2);
}

TEST_CASE("holdings settle everything of a turn in few commands, the hash first") {
  Keys keys{RedisOptions{}};
  Holdings holdings(keys, "me");
  for (Tag tag : {1u, 2u, 3u}) holdings.hold(tag, {"q", false});
  CHECK(holdings.field(12) == "me:12");
  for (Tag tag : {1u, 2u}) holdings.acked(tag, *holdings.release(tag));
  CHECK_FALSE(holdings.release(1));
  auto request = holdings.settle();
  CHECK(request.commands() == 2);
  CHECK(request.bytes() ==
        "*4\r\n$4\r\nHDEL\r\n$7\r\nunacked\r\n$4\r\nme:1\r\n$4\r\nme:2\r\n"
        "*4\r\n$4\r\nZREM\r\n$13\r\nunacked_index\r\n$4\r\nme:1\r\n$4\r\nme:2\r\n");
  CHECK(holdings.settle().empty());
  CHECK(holdings.size() == 1);
  CHECK(score_text(Clock::time_point(milliseconds(1795172793670))) == "1795172793.670000");
}

TEST_CASE("connection options come from the URL") {
  Url url;
  url.scheme = "rediss";
  url.host = "redis.example";
  url.path = "/4";
  url.password = "secret";
  url.query["ssl_cert_reqs"] = "none";
  auto options = connection_options(url, {}, {});
  REQUIRE(options);
  CHECK(options->endpoint.tls);
  CHECK(options->endpoint.port == 6379);
  CHECK_FALSE(options->endpoint.tls_options.verify);
  CHECK(options->db == 4);
  url.path = "/x";
  CHECK_FALSE(connection_options(url, {}, {}));
  url = {};
  url.scheme = "redis+socket";
  CHECK_FALSE(connection_options(url, {}, {}));
  url.path = "/run/redis.sock";
  url.query["virtual_host"] = "2";
  options = connection_options(url, {}, {});
  REQUIRE(options);
  CHECK(options->endpoint.path == "/run/redis.sock");
  CHECK(options->db == 2);
}

}  // namespace
}  // namespace celeriac::redis
