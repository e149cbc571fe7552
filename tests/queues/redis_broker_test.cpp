// What is particular to Redis: kombu's formats, leases, sweeps, failures of the server.
#include "protocol/envelope.hpp"
#include "protocol/time.hpp"
#include "tests/queues/loop.hpp"
#include "tests/queues/redis_fixture.hpp"

#include <doctest/doctest.h>
#include <algorithm>
#include <cstdlib>
#include <deque>

namespace celeriac::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const std::string envelope =
    R"({"body": "W1tdLCB7fSwge31d", "content-encoding": "utf-8", "content-type": "application/json", )"
    R"("headers": {"task": "t.add", "id": "one"}, "properties": {"correlation_id": "one", "reply_to": "r", )"
    R"("delivery_mode": 2, "delivery_info": {"exchange": "", "routing_key": "q"}, "priority": 0, )"
    R"("body_encoding": "base64", "delivery_tag": "one"}})";

RedisOptions short_lease() {
  RedisOptions options;
  options.lease = 0.5;
  return options;
}

struct Worker {
  Worker(boost::asio::io_context& io_in, redis::BrokerOptions options, unsigned window = 10)
      : io(io_in), broker(std::make_unique<redis::RedisBroker>(io, std::move(options))) {
    Broker::Handlers handlers;
    handlers.on_deliveries = [this](std::vector<Delivery>&& batch) {
      for (auto& delivery : batch) {
        if (ack_all) broker->ack(delivery.tag);
        got.push_back(std::move(delivery));
      }
    };
    handlers.on_state = [this](BrokerState state, const std::string& what) {
      states.push_back(state);
      if (!what.empty()) said.push_back(what);
    };
    handlers.on_taken = [this](const std::vector<Tag>& tags) {
      taken.insert(taken.end(), tags.begin(), tags.end());
    };
    broker->set_window(window);
    broker->start(std::move(handlers));
    broker->consume({"q"});
  }
  Worker(boost::asio::io_context& io_in, const RedisServer& server, RedisOptions transport = short_lease(),
         unsigned window = 10)
      : Worker(io_in, redis_options(server, transport), window) {}

  bool wait(std::size_t count, milliseconds timeout = seconds(10)) {
    return run_until(
        io, [&] { return got.size() >= count; }, timeout);
  }
  bool reached(BrokerState state) {
    return run_until(io, [&] { return std::count(states.begin(), states.end(), state) > 0; });
  }

  boost::asio::io_context& io;
  std::unique_ptr<redis::RedisBroker> broker;
  std::deque<Delivery> got;
  std::vector<BrokerState> states;
  std::vector<std::string> said;
  std::vector<Tag> taken;
  bool ack_all = false;
};

TEST_CASE("what we hold looks like kombu's own") {
  RedisServer server;
  boost::asio::io_context io;
  server.run({"LPUSH", "q", envelope});
  Worker worker(io, server);
  REQUIRE(worker.wait(1));
  const auto field = worker.broker->owner() + ":1";
  CHECK(server.one({"HGET", "unacked", field}) == "[" + envelope + ", \"\", \"q\"]");
  const double score = std::stod(server.one({"ZSCORE", "unacked_index", field}));
  CHECK(std::abs(score - unix_now()) < 5);
  CHECK(server.run({"SMEMBERS", "_kombu.binding.q"}) == std::vector<std::string>{"q\x06\x16\x06\x16q"});
  CHECK(server.run({"SMEMBERS", "celeriac.owners"}) == std::vector<std::string>{worker.broker->owner()});
  CHECK(server.number({"PTTL", "celeriac.lease." + worker.broker->owner()}) > 0);

  std::optional<std::size_t> restored;
  worker.broker->stop([&](std::size_t count) { restored = count; });
  REQUIRE(run_until(io, [&] { return restored.has_value(); }));
  auto back = mark_redelivered(envelope);
  REQUIRE(back);
  CHECK(server.one({"LRANGE", "q", "0", "-1"}) == *back);
  for (auto key : {"unacked", "unacked_index", "celeriac.owners", "celeriac.unreadable"})
    CHECK(server.number({"EXISTS", key}) == 0);
  CHECK(server.number({"EXISTS", "celeriac.lease." + worker.broker->owner()}) == 0);
}

TEST_CASE("a server that does not let us pop keeps its messages until it does") {
  RedisServer server;
  boost::asio::io_context io;
  server.run({"ACL", "SETUSER", "default", "-rpop"});
  server.run({"LPUSH", "q", envelope});
  Worker worker(io, server);
  REQUIRE(worker.reached(BrokerState::connected));
  run_for(io, milliseconds(300));
  CHECK(worker.got.empty());
  CHECK(server.run({"LRANGE", "q", "0", "-1"}) == std::vector<std::string>{envelope});
  server.run({"ACL", "SETUSER", "default", "+rpop"});
  CHECK(worker.wait(1, seconds(5)));
}

TEST_CASE("publishing writes kombu's envelope to the list of its priority, or through bindings") {
  RedisServer server;
  boost::asio::io_context io;
  auto broker = redis_broker(io, server);
  broker->start({});
  auto message = decode_envelope(envelope);
  REQUIRE(message);
  message->properties.priority = 7;
  int done = 0;
  broker->publish(*message, [&](const Status& status) { done += status.ok(); });
  server.run({"SADD", "_kombu.binding.ex",
              "key\x06\x16\x06\x16"
              "a",
              "key\x06\x16\x06\x16"
              "b",
              "z\x06\x16\x06\x16"
              "c"});
  message->properties.exchange = "ex";
  message->properties.routing_key = "key";
  broker->publish(*message, [&](const Status& status) { done += status.ok(); });
  REQUIRE(run_until(io, [&] { return done == 2; }));
  CHECK(server.number({"LLEN",
                       "q\x06\x16"
                       "6"}) == 1);
  CHECK(server.number({"LLEN",
                       "a\x06\x16"
                       "6"}) == 1);
  CHECK(server.number({"LLEN",
                       "b\x06\x16"
                       "6"}) == 1);
  CHECK(server.number({"EXISTS",
                       "c\x06\x16"
                       "6"}) == 0);
}

TEST_CASE("recovery gives back only what the dead owner held") {
  RedisServer server;
  boost::asio::io_context io;
  for (int i = 0; i < 6; ++i) server.run({"LPUSH", "q", envelope});
  RedisOptions alive = short_lease();
  Worker living(io, server, alive, 2);
  REQUIRE(living.wait(2));
  auto dying = std::make_unique<Worker>(io, server, alive, 2);
  REQUIRE(dying->wait(2));
  // A Python worker's entry, young: only the visibility timeout may bring it back.
  server.run({"HSET", "unacked", "python-tag", "[" + envelope + ", \"\", \"q\"]"});
  server.run({"ZADD", "unacked_index", std::to_string(unix_now()), "python-tag"});
  const auto died = std::chrono::steady_clock::now();
  dying.reset();
  REQUIRE(run_until(
      io,
      [&] {
        return server.number({"LLEN", "q"}) == 4;
      },
      seconds(5)));
  CHECK(std::chrono::steady_clock::now() - died < milliseconds(1500));
  run_for(io, milliseconds(300));
  CHECK(server.number({"LLEN", "q"}) == 4);
  CHECK(server.number({"HLEN", "unacked"}) == 3);
  CHECK(server.run({"SMEMBERS", "celeriac.owners"}) == std::vector<std::string>{living.broker->owner()});
}

TEST_CASE("kombu's sweep is done for dead Python workers, and spares what is held") {
  RedisServer server;
  boost::asio::io_context io;
  server.run({"SADD", "_kombu.binding.ex", "key\x06\x16\x06\x16q"});
  const auto old = std::to_string(unix_now() - 10);
  server.run({"HSET", "unacked", "old", "[" + envelope + ", \"ex\", \"key\"]", "young",
              "[" + envelope + ", \"\", \"q\"]", "strange", "nonsense"});
  server.run({"ZADD", "unacked_index", old, "old", std::to_string(unix_now() + 100), "young", old, "strange",
              old, "gone"});
  RedisOptions transport;
  transport.visibility_timeout = 1;
  Worker worker(io, server, transport);
  REQUIRE(worker.wait(1));
  CHECK(worker.got[0].redelivered);
  CHECK(server.run({"HKEYS", "unacked"}).size() == 3);
  CHECK(server.one({"HEXISTS", "unacked", "old"}) == "0");
  REQUIRE(run_until(io, [&] { return server.one({"EXISTS", "unacked_mutex"}) == "0"; }));
  // What we hold is renewed: its score stays younger than the timeout.
  run_for(io, milliseconds(1500));
  const auto field = worker.broker->owner() + ":" + std::to_string(worker.got[0].tag);
  CHECK(unix_now() - std::stod(server.one({"ZSCORE", "unacked_index", field})) < 0.8);
}

TEST_CASE("a worker whose lease ran out learns what was taken") {
  RedisServer server;
  boost::asio::io_context io, frozen_io;
  for (int i = 0; i < 3; ++i) server.run({"LPUSH", "q", envelope});
  Worker frozen(frozen_io, server);
  REQUIRE(frozen.wait(3));
  // Its loop stands still, as after SIGSTOP; another worker finds it dead.
  Worker other(io, server);
  REQUIRE(other.wait(3));
  REQUIRE(run_until(frozen_io, [&] { return frozen.taken.size() == 3; }));
  CHECK(frozen.said.size() >= 1);
  for (Tag tag : frozen.taken) frozen.broker->ack(tag);
  run_for(frozen_io, milliseconds(50));
  CHECK(server.number({"HLEN", "unacked"}) == 3);  // the other's, untouched
  server.run({"LPUSH", "q", envelope});
  bool both = run_until(frozen_io, [&] {
    io.poll();
    return frozen.got.size() + other.got.size() == 7;
  });
  CHECK(both);
}

// How often `command` was called in the server, by clients or by scripts.
long calls(RedisServer& server, const std::string& command) {
  const auto text = server.one({"INFO", "commandstats"});
  const auto at = text.find("cmdstat_" + command + ":calls=");
  return at == text.npos ? 0 : std::atol(text.c_str() + text.find('=', at) + 1);
}

// The server tells nobody of his own pushes. The look of each second would find them too, but late.
TEST_CASE("what a broker publishes to its own queues it claims at once") {
  RedisServer server;
  boost::asio::io_context io;
  Worker worker(io, server);
  worker.ack_all = true;
  auto message = decode_envelope(envelope);
  REQUIRE(message);
  server.run({"SADD", "_kombu.binding.ex", "key\x06\x16\x06\x16q"});
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < 40; ++i) {
    message->properties.exchange = i % 2 ? "ex" : "";
    message->properties.routing_key = i % 2 ? "key" : "q";
    message->properties.priority = static_cast<int>(i % 10);
    worker.broker->publish(*message, {});
    REQUIRE(worker.wait(i + 1));
  }
  CHECK(std::chrono::steady_clock::now() - start < seconds(20));
}

TEST_CASE("lists known to be empty are not asked again") {
  RedisServer server;
  boost::asio::io_context io;
  Worker worker(io, server);
  worker.ack_all = true;
  server.run({"LPUSH",
              "q\x06\x16"
              "9",
              envelope});
  REQUIRE(worker.wait(1));
  REQUIRE(run_until(
      io,
      [&] {
        return server.one({"INFO", "clients"}).find("tracking_clients:1") != std::string::npos;
      },
      seconds(10)));
  const long before = calls(server, "lrange");
  std::size_t sent = 0;
  while (sent < 60) {
    server.run({"LPUSH", "q", envelope});
    REQUIRE(worker.wait(1 + ++sent));
  }
  // One of the four lists for each message; all of them only when a claim is made for safety.
  CHECK(calls(server, "lrange") - before < 2 * 60);
  // What is known to be empty is told of: the lists of every other priority still wake us.
  for (auto key : {"q\x06\x16"
                   "3",
                   "q\x06\x16"
                   "6",
                   "q\x06\x16"
                   "9"}) {
    server.run({"LPUSH", key, envelope});
    REQUIRE(worker.wait(1 + ++sent));
  }
}

TEST_CASE("scripts flushed from the server are loaded again") {
  RedisServer server;
  boost::asio::io_context io;
  Worker worker(io, server);
  worker.ack_all = true;
  REQUIRE(worker.reached(BrokerState::connected));
  for (std::size_t i = 1; i <= 3; ++i) {
    server.run({"SCRIPT", "FLUSH"});
    server.run({"LPUSH", "q", envelope});
    REQUIRE(worker.wait(i, seconds(3)));
  }
  worker.ack_all = false;
  server.run({"LPUSH", "q", envelope});
  REQUIRE(worker.wait(4));
  server.run({"SCRIPT", "FLUSH"});
  worker.broker->bury(worker.got[3].tag, {});
  REQUIRE(run_until(io, [&] { return server.number({"ZCARD", "celeriac.dead"}) == 1; }));
}

TEST_CASE("a silent server counts as lost, and work goes on when it wakes") {
  RedisServer server;
  boost::asio::io_context io;
  RedisOptions transport;
  transport.socket_timeout = 0.4;
  Worker worker(io, server, transport);
  REQUIRE(worker.reached(BrokerState::connected));
  run_for(io, milliseconds(200));
  server.freeze();
  CHECK(worker.reached(BrokerState::lost));
  server.thaw();
  server.run({"LPUSH", "q", envelope});
  CHECK(worker.wait(1));
}

TEST_CASE("a restarted server with its data keeps what we hold") {
  RedisServer server({"--appendonly", "yes", "--appendfsync", "always"});
  boost::asio::io_context io;
  for (int i = 0; i < 5; ++i) server.run({"LPUSH", "q", envelope});
  RedisOptions transport;
  Worker worker(io, server, transport, 2);
  REQUIRE(worker.wait(2));
  server.kill();
  REQUIRE(worker.reached(BrokerState::lost));
  worker.broker->ack(worker.got[0].tag);
  server.start();
  REQUIRE(worker.wait(3));
  worker.ack_all = true;
  worker.broker->ack(worker.got[1].tag);
  worker.broker->ack(worker.got[2].tag);
  REQUIRE(worker.wait(5));
  REQUIRE(run_until(io, [&] { return server.number({"HLEN", "unacked"}) == 0; }));
  CHECK(server.number({"LLEN", "q"}) == 0);
  CHECK(worker.got.size() == 5);
}

TEST_CASE("keys of the wrong type: a list is passed over, a broken unacked loses nothing") {
  RedisServer server;
  boost::asio::io_context io;
  server.run({"SET", "q", "no list"});
  server.run({"LPUSH",
              "q\x06\x16"
              "3",
              envelope});
  SUBCASE("list") {
    Worker worker(io, server);
    REQUIRE(worker.wait(1, seconds(5)));
    CHECK(worker.got[0].error.empty());
  }
  SUBCASE("unacked") {
    server.run({"SET", "unacked", "no hash"});
    Worker worker(io, server);
    REQUIRE(worker.reached(BrokerState::connected));
    run_for(io, milliseconds(300));
    CHECK(worker.got.empty());
    CHECK(server.run({"LRANGE",
                      "q\x06\x16"
                      "3",
                      "0", "-1"}) == std::vector<std::string>{envelope});
    server.run({"DEL", "unacked"});
    CHECK(worker.wait(1, seconds(5)));
  }
}

std::string large_envelope(int id, std::size_t size) {
  Message message;
  message.headers = R"({"task": "t.add"})";
  message.body = std::string(size, 'x');
  message.properties.correlation_id = std::to_string(id);
  message.properties.routing_key = "q";
  return encode_envelope(message);
}

// Small ones between: the way of claiming changes back and forth.
std::size_t mixed_size(int id) { return id % 7 == 0 ? 1u << 20 : id % 5 == 0 ? 100 : 100000; }

std::vector<int> sorted_ids(std::initializer_list<const Worker*> workers) {
  std::vector<int> ids;
  for (auto* worker : workers)
    for (auto& delivery : worker->got) ids.push_back(std::stoi(delivery.message.properties.correlation_id));
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::vector<int> one_to(int last) {
  std::vector<int> ids;
  for (int i = 1; i <= last; ++i) ids.push_back(i);
  return ids;
}

TEST_CASE("large messages are held in kombu's form, in their order, and after more urgent ones") {
  RedisServer server;
  boost::asio::io_context io;
  const std::string junk(200000, 'j');
  std::vector<std::string> pushed;
  for (int i = 1; i <= 4; ++i) server.run({"LPUSH", "q", pushed.emplace_back(large_envelope(i, 300000))});
  server.run({"LPUSH", "q", pushed.emplace_back(junk)});
  server.run({"LPUSH", "q", pushed.emplace_back(large_envelope(6, 50000))});
  Worker worker(io, server, {}, 3);
  REQUIRE(worker.wait(3));
  server.run({"LPUSH", "q", pushed.emplace_back(large_envelope(7, 100))});
  worker.broker->set_window(20);
  REQUIRE(worker.wait(7));
  for (std::size_t i = 0; i < 7; ++i) {
    const auto field = worker.broker->owner() + ":" + std::to_string(worker.got[i].tag);
    const bool readable = pushed[i] != junk;
    CHECK(worker.got[i].error.empty() == readable);
    CHECK(server.one({"HGET", "unacked", field}) == "[" + (readable ? pushed[i] : "null") + ", \"\", \"q\"]");
    CHECK(std::abs(std::stod(server.one({"ZSCORE", "unacked_index", field})) - unix_now()) < 30);
    if (!readable) CHECK(server.one({"HGET", "celeriac.unreadable", field}) == junk);
  }
  server.run({"LPUSH", "q", large_envelope(8, 100000)});
  server.run({"LPUSH", "q", large_envelope(9, 100000)});
  REQUIRE(worker.wait(9));
  worker.broker->set_window(9);
  server.run({"LPUSH",
              "q\x06\x16"
              "3",
              large_envelope(10, 100000)});
  server.run({"LPUSH", "q", large_envelope(11, 100000)});
  worker.broker->set_window(20);
  REQUIRE(worker.wait(11));
  CHECK(worker.got[9].message.properties.correlation_id == "11");
  for (auto& delivery : worker.got) worker.broker->ack(delivery.tag);
  REQUIRE(run_until(io, [&] { return server.number({"EXISTS", "unacked", "unacked_index", "q"}) == 0; }));
  CHECK(server.number({"EXISTS", "celeriac.unreadable"}) == 0);
}

TEST_CASE("two workers claim large messages from one queue while others push: none lost, none doubled") {
  RedisServer server;
  boost::asio::io_context io;
  constexpr int total = 150;
  Worker one(io, server, {}, 6), two(io, server, {}, 6);
  one.ack_all = two.ack_all = true;
  for (int i = 1; i <= total; ++i) {
    server.run({"LPUSH", "q", large_envelope(i, mixed_size(i))});
    if (i > 40) io.poll();
  }
  REQUIRE(run_until(
      io, [&] { return one.got.size() + two.got.size() >= total; }, seconds(20)));
  run_for(io, milliseconds(200));
  CHECK(sorted_ids({&one, &two}) == one_to(total));
  CHECK(server.number({"EXISTS", "unacked", "q"}) == 0);
}

TEST_CASE("connections cut at any moment of claiming large messages: none lost, none doubled") {
  RedisServer server;
  boost::asio::io_context io;
  constexpr int total = 100;
  for (int i = 1; i <= total; ++i) server.run({"LPUSH", "q", large_envelope(i, mixed_size(i))});
  Worker worker(io, server, {}, 6);
  worker.ack_all = true;
  for (int cut = 0; cut < 12; ++cut) {
    const auto before = worker.got.size();
    run_until(
        io, [&] { return worker.got.size() > before; }, seconds(2));
    for (int step = 0; step < cut; ++step) io.run_one_for(milliseconds(1));
    server.run({"CLIENT", "KILL", "TYPE", "normal"});
  }
  REQUIRE(worker.wait(total, seconds(20)));
  run_for(io, milliseconds(700));
  CHECK(sorted_ids({&worker}) == one_to(total));
  REQUIRE(run_until(io, [&] { return server.number({"EXISTS", "unacked", "q"}) == 0; }));
}

TEST_CASE("workers that die at any moment of claiming large messages lose none") {
  RedisServer server;
  boost::asio::io_context io;
  constexpr int total = 40;
  for (int i = 1; i <= total; ++i) server.run({"LPUSH", "q", large_envelope(i, mixed_size(i))});
  for (int life = 0; life < 15; ++life) {
    Worker dying(io, server, short_lease(), 5);
    dying.reached(BrokerState::connected);
    for (int step = 0; step < 10 + 4 * life; ++step) io.run_one_for(milliseconds(1));
  }
  Worker last(io, server, short_lease(), 0);
  REQUIRE(last.wait(total));
  CHECK(sorted_ids({&last}) == one_to(total));
  CHECK(server.number({"EXISTS", "q"}) == 0);
}

TEST_CASE("large messages that cannot be recorded stay in their list") {
  RedisServer server;
  boost::asio::io_context io;
  const auto large = large_envelope(1, 100000);
  Worker worker(io, server);
  server.run({"LPUSH", "q", large});
  REQUIRE(worker.wait(1));  // now it knows that bodies are large
  worker.broker->ack(worker.got[0].tag);
  REQUIRE(run_until(io, [&] { return server.number({"EXISTS", "unacked"}) == 0; }));
  SUBCASE("a key of the wrong type") { server.run({"SET", "unacked", "no hash"}); }
  SUBCASE("a server out of memory: consuming makes room") {
    server.run({"LPUSH", "q", large});
    server.run({"CONFIG", "SET", "maxmemory", "1"});
    CHECK(worker.wait(2));
    return;
  }
  server.run({"LPUSH", "q", large});
  run_for(io, milliseconds(500));
  CHECK(server.run({"LRANGE", "q", "0", "-1"}) == std::vector<std::string>{large});
  server.run({"DEL", "unacked"});
  REQUIRE(worker.wait(2));
  run_for(io, milliseconds(100));
  CHECK(worker.got.size() == 2);
}

TEST_CASE("whatever the server refuses is asked again until it is accepted") {
  RedisServer server;
  boost::asio::io_context io;
  for (int i = 0; i < 6; ++i) server.run({"LPUSH", "q", envelope});
  Worker worker(io, server, {}, 6);
  REQUIRE(worker.wait(6));
  // As with a full disk: every write is refused.
  server.run({"CONFIG", "SET", "min-replicas-to-write", "1"});
  auto tag = [&](std::size_t i) { return worker.got[i].tag; };
  worker.broker->ack(tag(0));
  run_for(io, milliseconds(20));
  worker.broker->ack(tag(1));
  run_for(io, milliseconds(20));
  worker.broker->defer(tag(2), Clock::now() + std::chrono::hours(1));
  DeadLetter why;
  why.category = "failed";
  why.attempts = 3;
  worker.broker->bury(tag(3), why);
  worker.broker->reject(tag(4), Requeue::yes);
  run_for(io, milliseconds(1500));
  CHECK(server.number({"HLEN", "unacked"}) == 6);
  worker.broker->set_window(1);
  server.run({"CONFIG", "SET", "min-replicas-to-write", "0"});
  REQUIRE(run_until(io, [&] { return server.number({"HLEN", "unacked"}) == 2; }));
  CHECK(server.number({"LLEN", "q"}) == 1);
  const auto id = server.one({"ZRANGE", "celeriac.dead", "0", "0"});
  CHECK(server.one({"HGET", "celeriac.dead.letter." + id, "attempts"}) == "3");
  const auto deferred = worker.broker->owner() + ":" + std::to_string(tag(2));
  CHECK(run_until(io, [&] {
    return std::stod(server.one({"ZSCORE", "unacked_index", deferred})) > unix_now() + 3000;
  }));
}

TEST_CASE("passwords and users") {
  RedisServer server({"--requirepass", "secret"});
  server.login("default", "secret");
  server.run({"ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all", "-client|tracking"});
  boost::asio::io_context io;
  auto options = redis_options(server, short_lease());

  SUBCASE("the right password") {
    options.connection.password = "secret";
    Worker worker(io, options);
    CHECK(worker.reached(BrokerState::connected));
  }
  SUBCASE("none or a wrong one: said at once, not tried for ever") {
    for (auto password : {"", "wrong"}) {
      options.connection.password = password;
      Worker worker(io, options);
      CHECK(worker.reached(BrokerState::failed));
    }
  }
  SUBCASE("a user who may not use tracking: polled, and still quick") {
    options.connection.user = "app";
    options.connection.password = "pw";
    Worker worker(io, options);
    CHECK(worker.reached(BrokerState::connected));
    run_for(io, milliseconds(300));
    server.run({"LPUSH", "q", envelope});
    CHECK(worker.wait(1, milliseconds(300)));
  }
}

TEST_CASE("nobody listens: failed after the retries allowed, or tried for ever") {
  boost::asio::io_context io;
  redis::BrokerOptions options;
  options.connection.endpoint.path = "/nonexistent/redis.sock";
  options.connection.max_retries = -1;
  Worker worker(io, options);
  CHECK(worker.reached(BrokerState::failed));
  std::optional<std::size_t> restored;
  worker.broker->stop([&](std::size_t count) { restored = count; });
  CHECK(run_until(io, [&] { return restored.has_value(); }));
}

TEST_CASE("Unix socket") {
  RedisServer server;
  boost::asio::io_context io;
  redis::BrokerOptions options;
  options.connection.endpoint.path = server.socket_path();
  options.connection.db = 3;
  Worker worker(io, options);
  CHECK(worker.reached(BrokerState::connected));
  CHECK(run_until(io, [&] { return server.one({"INFO", "keyspace"}).find("db3") != std::string::npos; }));
}

TEST_CASE("TLS: the chain and the name are checked") {
  auto make_server = [] {
    char pattern[] = "/tmp/celeriac-tls-XXXXXX";
    REQUIRE(mkdtemp(pattern));
    const std::string dir = pattern;
    const std::string command = "cd " + dir +
                                " && openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem "
                                "-days 2 -subj /CN=localhost"
                                " -addext subjectAltName=DNS:localhost >/dev/null 2>&1";
    REQUIRE(std::system(command.c_str()) == 0);
    return dir;
  };
  const auto dir = make_server();
  // A port that was free a moment ago.
  const auto port = [] { return RedisServer().port(); }();
  RedisServer server({"--tls-port", std::to_string(port), "--tls-cert-file", dir + "/cert.pem",
                      "--tls-key-file", dir + "/key.pem", "--tls-ca-cert-file", dir + "/cert.pem",
                      "--tls-auth-clients", "no"});
  boost::asio::io_context io;
  redis::BrokerOptions options;
  options.connection.endpoint.host = "localhost";
  options.connection.endpoint.port = port;
  options.connection.endpoint.tls = true;
  options.connection.max_retries = -1;

  SUBCASE("trusted") {
    options.connection.endpoint.tls_options.ca_certs = dir + "/cert.pem";
    Worker worker(io, options);
    CHECK(worker.reached(BrokerState::connected));
    server.run({"LPUSH", "q", envelope});
    CHECK(worker.wait(1));
  }
  SUBCASE("unknown issuer") {
    Worker worker(io, options);
    CHECK(worker.reached(BrokerState::failed));
  }
  SUBCASE("another name") {
    options.connection.endpoint.tls_options.ca_certs = dir + "/cert.pem";
    options.connection.endpoint.tls_options.server_hostname = "other.example";
    Worker worker(io, options);
    CHECK(worker.reached(BrokerState::failed));
  }
  SUBCASE("not verified when asked so") {
    options.connection.endpoint.tls_options.verify = false;
    Worker worker(io, options);
    CHECK(worker.reached(BrokerState::connected));
  }
  std::system(("rm -r " + dir).c_str());
}

}  // namespace
}  // namespace celeriac::testing
