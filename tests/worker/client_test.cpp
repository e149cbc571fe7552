// The client against a private Redis; what a worker would store is written by the tests themselves.
#include "worker/client.hpp"

#include "config/settings.hpp"
#include "protocol/body.hpp"
#include "protocol/envelope.hpp"
#include "protocol/result.hpp"
#include "tests/queues/redis_server.hpp"
#include "worker/app.hpp"

#include <doctest/doctest.h>
#include <algorithm>
#include <atomic>
#include <future>
#include <set>
#include <thread>

using namespace celeriac;
using namespace std::chrono_literals;
using celeriac::testing::RedisServer;

namespace {

Settings settings_for(const RedisServer& server) {
  Settings settings;
  settings.broker_url = server.url();
  settings.result_backend = server.url(1);
  return settings;
}

std::unique_ptr<Client> connected(const Settings& settings, ClientOptions options = {}) {
  auto client = Client::connect(settings, options);
  if (!client) throw std::runtime_error(client.error().what);
  return std::move(*client);
}

Message popped(const RedisServer& server, const std::string& queue = "celery") {
  auto message = decode_envelope(server.one({"RPOP", queue}));
  if (!message) throw std::runtime_error(message.error().what);
  return std::move(*message);
}

TaskHeaders headers_of(const Message& message) { return read_task(message, {"application/json"}).value(); }

// As a worker stores it.
void end_task(const RedisServer& server, const std::string& id, std::string_view status,
              const std::string& value) {
  TaskResult result;
  result.task_id = id;
  result.status = status;
  result.result = value;
  const std::string key = "celery-task-meta-" + id, document = write_result(result);
  server.run(
      {"EVAL",
       "redis.call('SELECT', 1) redis.call('SET', KEYS[1], ARGV[1]) redis.call('PUBLISH', KEYS[1], ARGV[1])",
       "1", key, document});
}

const std::string boom =
    R"({"exc_type": "ValueError", "exc_message": ["boom", 7], "exc_module": "builtins"})";

std::string thrown_by(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("a client that cannot connect says which URL and why, without the password") {
  RedisServer server;
  Settings settings = settings_for(server);
  const auto error = [&] { return Client::connect(settings).error().what; };

  settings.broker_url = "redis://:secret@127.0.0.1:1/0";
  CHECK(error().find("cannot connect to the message broker redis://") == 0);
  CHECK(error().find("127.0.0.1:1") != std::string::npos);
  CHECK(error().find("refused") != std::string::npos);
  CHECK(error().find("secret") == std::string::npos);

  settings.broker_url = "kafka://localhost";
  CHECK(error().find("unknown scheme 'kafka'") != std::string::npos);

  settings.broker_url = server.url();
  settings.result_backend = "redis://127.0.0.1:1/0";
  CHECK(error().find("cannot connect to the result store redis://127.0.0.1:1") == 0);
  settings.result_backend = "kafka://localhost";
  CHECK(error().find("kafka") != std::string::npos);
}

TEST_CASE("a task leaves as apply_async sends it") {
  RedisServer server;
  auto client = connected(settings_for(server));
  const AsyncResult sum =
      client->send("add", {1, 2}, {{"z", 3}}, {.priority = 6, .headers = Json{{"x-tenant", "a"}}});
  CHECK(server.number({"LLEN",
                       "celery\x06\x16"
                       "6"}) == 1);
  const Message message = popped(server,
                                 "celery\x06\x16"
                                 "6");
  const TaskHeaders headers = headers_of(message);
  CHECK(headers.id == sum.id());
  CHECK(headers.root_id == sum.id());
  CHECK(headers.parent_id.empty());
  CHECK(headers.task == "add");
  CHECK(headers.argsrepr == "(1, 2)");
  CHECK(headers.kwargsrepr == "{'z': 3}");
  CHECK(headers.origin.find("gen") == 0);
  CHECK(headers.ignore_result == false);
  CHECK(message.headers.find("\"x-tenant\": \"a\"") != std::string::npos);
  CHECK(message.body ==
        R"([[1, 2], {"z": 3}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}])");
  CHECK(message.properties.correlation_id == sum.id());
  CHECK(!message.properties.reply_to.empty());
  CHECK(sum.as_tuple() == Json::array({Json::array({sum.id(), nullptr}), nullptr}));
  CHECK(!sum.parent());
  CHECK(!sum.is_group());
}

TEST_CASE("a task finds its queue by its options, the routes, the app and the default") {
  RedisServer server;
  Settings settings = settings_for(server);
  settings.task_routes = {{"math.*", "math"}};
  App app;
  app.raw_task("ocr", [](Context&, const Json&, const Json&) { return Json(); }, {.queue = "scans"});
  auto client = connected(settings, {.app = &app});
  client->send("add", {}, {}, {.queue = "own"});
  client->send("math.add");
  client->send("ocr");
  client->send("other", nullptr, nullptr);
  client->apply(Signature("math.add"));
  CHECK(server.number({"LLEN", "own"}) == 1);
  CHECK(server.number({"LLEN", "math"}) == 2);
  CHECK(server.number({"LLEN", "scans"}) == 1);
  CHECK(server.number({"LLEN", "celery"}) == 1);
}

TEST_CASE("what cannot be sent is refused before anything leaves") {
  RedisServer server;
  auto client = connected(settings_for(server));
  CHECK_THROWS_AS(client->send("add", "no list"), TaskError);
  CHECK_THROWS_AS(client->send("add", {1}, Json::array({1})), TaskError);
  CHECK_THROWS_AS(client->send("add", {1}, {}, {.time_limit = 1, .soft_time_limit = 2}), TaskError);
  CHECK_THROWS_AS(client->send_all("add", {Json::array({1}), Json("no list")}), BadArguments);
  CHECK_THROWS_AS(client->send_all("add", {Json::array({1})}, {.task_id = "same"}), BadArguments);
  CHECK_THROWS_AS(client->result_from_tuple("no tuple"), BadArguments);
  CHECK_THROWS_AS(client->result_from_tuple(Json::array({Json::array({1, nullptr}), nullptr})), BadArguments);
  CHECK(client->send_all("add", {}).empty());
  CHECK(server.number({"LLEN", "celery"}) == 0);
}

TEST_CASE("a result is waited for, read again, and forgotten") {
  RedisServer server;
  auto client = connected(settings_for(server));
  const AsyncResult sum = client->send("add", {1, 2});
  CHECK(sum.state() == "PENDING");
  CHECK(!sum.ready());
  auto value = std::async(std::launch::async, [&] { return sum.get(60s); });
  end_task(server, sum.id(), "STARTED", "null");
  CHECK(sum.state() == "STARTED");
  end_task(server, sum.id(), "SUCCESS", "3");
  CHECK(value.get() == 3);
  CHECK(sum.get() == 3);
  CHECK(sum.ready());
  CHECK(client->result(sum.id()).get(60s) == 3);
  sum.forget();
  CHECK(sum.state() == "PENDING");
}

TEST_CASE("a failure is thrown as the task threw it, or returned as it is stored") {
  RedisServer server;
  auto client = connected(settings_for(server));
  const AsyncResult result = client->send("fail");
  end_task(server, result.id(), "FAILURE", boom);
  try {
    result.get(60s);
    FAIL("no exception");
  } catch (const TaskError& error) {
    CHECK(error.info().type == "ValueError");
    CHECK(std::string(error.what()) == "('boom', 7)");
  }
  CHECK(result.get(60s, false)["exc_type"] == "ValueError");
  CHECK(result.state() == "FAILURE");

  const AsyncResult odd = client->send("fail");
  end_task(server, odd.id(), "FAILURE", R"("no exception at all")");
  CHECK(thrown_by([&] { odd.get(60s); }).find("no exception at all") != std::string::npos);
}

TEST_CASE("without a result in time there is a TimeoutError that names the task and the time") {
  RedisServer server;
  auto client = connected(settings_for(server));
  const AsyncResult result = client->send("slow");
  CHECK_THROWS_AS(result.get(20ms), TimeoutError);
  CHECK(thrown_by([&] { result.get(20ms); }).find(result.id() + " is not ready within 0.02 s") !=
        std::string::npos);
}

TEST_CASE("results that are not stored are refused instead of waited for") {
  RedisServer server;
  Settings settings = settings_for(server);
  auto client = connected(settings);
  const AsyncResult ignored = client->send("add", {1, 2}, {}, {.ignore_result = true});
  CHECK_THROWS_AS(ignored.get(), std::logic_error);
  CHECK(thrown_by([&] { ignored.ready(); }).find("ignore_result") != std::string::npos);
  const AsyncResult last =
      client->apply(chain({Signature("add", {1, 2}), Signature("add", {3}).set("ignore_result", true)}));
  CHECK_THROWS_AS(last.get(), std::logic_error);
  const AsyncResult some =
      client->apply(group({Signature("add", {1, 2}), Signature("add", {3, 4}).set("ignore_result", true)}));
  CHECK_THROWS_AS(some.get(), std::logic_error);

  for (const char* none : {"", "disabled://"}) {
    settings.result_backend = none;
    auto sender = connected(settings);
    const AsyncResult sent = sender->send("add", {1, 2});
    CHECK_THROWS_AS(sent.get(), std::logic_error);
    CHECK(thrown_by([&] { sent.state(); }).find("result_backend") != std::string::npos);
  }
}

TEST_CASE("a group's results come in order, nested as it is") {
  RedisServer server;
  auto client = connected(settings_for(server));
  const AsyncResult all =
      client->apply(group({Signature("add", {1, 1}), Signature("add", {2, 2}), Signature("add", {3, 3})}));
  REQUIRE(all.is_group());
  const auto members = all.members();
  REQUIRE(members.size() == 3);
  CHECK(all.state() == "PENDING");
  for (int i : {2, 0, 1}) end_task(server, members[i].id(), "SUCCESS", std::to_string(i));
  CHECK(all.get(60s) == Json::array({0, 1, 2}));
  CHECK(all.state() == "SUCCESS");
  CHECK(all.ready());

  const auto nested = client->result_from_tuple(
      parse_json(R"([["g", null], [[["a", null], null], [["h", null], [[["b", null], null]]]]])").value());
  end_task(server, "a", "SUCCESS", "1");
  end_task(server, "b", "FAILURE", boom);
  CHECK(nested.get(60s, false) == Json::array({1, Json::array({parse_json(boom).value()})}));
  CHECK_THROWS_AS(nested.get(60s), TaskError);
  CHECK(nested.state() == "FAILURE");
  nested.forget();
  CHECK(nested.state() == "PENDING");
  CHECK(client->apply(group({})).get(60s) == Json::array());
}

TEST_CASE("the failure of an earlier step ends the wait for the last") {
  RedisServer server;
  auto client = connected(settings_for(server));
  const AsyncResult last =
      client->apply(chain({Signature("add", {1, 2}), Signature("mul", {10}), Signature("add", {5})}));
  REQUIRE(last.parent());
  REQUIRE(last.parent()->parent());
  const AsyncResult first = *last.parent()->parent();
  CHECK(!first.parent());
  CHECK(server.number({"LLEN", "celery"}) == 1);
  CHECK(headers_of(popped(server)).id == first.id());
  auto waiting = std::async(std::launch::async, [&] { return thrown_by([&] { last.get(60s); }); });
  end_task(server, first.id(), "FAILURE", boom);
  CHECK(waiting.get() == "('boom', 7)");
  CHECK_THROWS_AS(last.get(20ms, false), TimeoutError);
}

TEST_CASE("a failing part ends the wait for the chord's body") {
  RedisServer server;
  auto client = connected(settings_for(server));
  const AsyncResult body =
      client->apply(chord({Signature("add", {1, 1}), Signature("fail")}, Signature("sum")));
  REQUIRE(body.parent());
  REQUIRE(body.parent()->is_group());
  CHECK(server.number({"LLEN", "celery"}) == 2);
  end_task(server, body.parent()->members()[1].id(), "FAILURE", boom);
  CHECK_THROWS_AS(body.get(60s), TaskError);
}

TEST_CASE("many tasks leave together, in order") {
  RedisServer server;
  auto client = connected(settings_for(server));
  std::vector<Json> lists;
  for (int i = 0; i < 5000; ++i) lists.push_back(Json::array({i}));
  const auto results = client->send_all("add", lists, {.queue = "many"});
  REQUIRE(results.size() == 5000);
  REQUIRE(server.number({"LLEN", "many"}) == 5000);
  for (int i : {0, 1, 4998}) {
    const auto message = decode_envelope(server.one({"LINDEX", "many", std::to_string(-1 - i)})).value();
    CHECK(message.properties.correlation_id == results[i].id());
    CHECK(message.body.find("[[" + std::to_string(i) + "]") == 0);
  }
}

TEST_CASE("many compositions leave together, in order, or none of them") {
  RedisServer server;
  auto client = connected(settings_for(server));
  std::vector<Signature> many;
  for (int i = 0; i < 600; ++i) {
    many.push_back(chain({Signature("add", {i, 1}), Signature("mul", {2})}));
    many.push_back(chord({Signature("add", {i, 2}), Signature("add", {i, 3})}, Signature("tsum")));
  }
  const auto results = client->apply_all(many);
  REQUIRE(results.size() == 1200);
  REQUIRE(server.number({"LLEN", "celery"}) == 1800);
  for (int i : {0, 1, 599}) {
    const auto message =
        decode_envelope(server.one({"LINDEX", "celery", std::to_string(-1 - 3 * i)})).value();
    CHECK(message.body.find("[[" + std::to_string(i) + ", 1]") == 0);
    CHECK(message.properties.correlation_id == results[2 * i].parent()->id());
  }
  // Each chord is known to the store, which is database 1.
  CHECK(server.number({"EVAL", "redis.call('SELECT', 1) return #redis.call('KEYS', ARGV[1])", "0",
                       "celery-taskset-meta-*.s"}) == 600);
  many.push_back(group({}));
  CHECK(client->apply_all(many).size() == 1201);  // an empty group is no message
  CHECK(client->apply_all({}).empty());
}

TEST_CASE("what the broker refuses was not sent, and the error says so") {
  RedisServer server;
  auto client = connected(settings_for(server));
  server.run({"CONFIG", "SET", "maxmemory", "1"});
  try {
    client->send("add", {1, 2});
    FAIL("no exception");
  } catch (const OperationalError& error) {
    CHECK(!error.may_have_been_sent());
    CHECK(error.messages().not_sent == 1);
    CHECK(std::string(error.what()).find("OOM") != std::string::npos);
    CHECK(std::string(error.what()).find(server.url()) != std::string::npos);
  }
  try {
    client->send_all("add", std::vector<Json>(1000, Json::array({1})));
    FAIL("no exception");
  } catch (const OperationalError& error) {
    CHECK(error.messages().accepted + error.messages().unsure == 0);
    CHECK(error.messages().not_sent == 1000);
  }
  server.run({"CONFIG", "SET", "maxmemory", "0"});
  client->send("add", {1, 2});
  CHECK(server.number({"LLEN", "celery"}) == 1);
}

TEST_CASE("a server that does not answer in time may have the messages that were handed over") {
  RedisServer server;
  auto client = connected(settings_for(server), {.timeout = 300ms});
  server.freeze();
  constexpr std::size_t all = 20000;
  std::optional<OperationalError::Messages> known;
  try {
    client->send_all("add", std::vector<Json>(all, Json::array({1})));
  } catch (const OperationalError& error) {
    known = error.messages();
    CHECK(std::string(error.what()).find("may have been sent") != std::string::npos);
  }
  REQUIRE(known);
  CHECK(known->accepted == 0);
  CHECK(known->unsure > 0);
  CHECK(known->not_sent > 0);
  CHECK(known->unsure + known->not_sent == all);
  server.thaw();
  for (int tries = 0;; ++tries) {  // the server may be slow to wake up
    try {
      client->send("add", {1}, {}, {.queue = "after"});
      break;
    } catch (const OperationalError&) {
      REQUIRE(tries < 100);
    }
  }
  CHECK(server.number({"LLEN", "celery"}) == static_cast<long long>(known->unsure));
}

TEST_CASE("without a connection nothing is handed over, and nothing leaves later") {
  RedisServer server;
  auto client = connected(settings_for(server), {.timeout = 300ms});
  server.kill();
  std::optional<OperationalError> error;
  for (int tries = 0; tries < 100 && (!error || error->may_have_been_sent()); ++tries) {
    try {
      client->send("before");
    } catch (const OperationalError& thrown) {
      error = thrown;
    }
  }
  REQUIRE(error);
  CHECK(!error->may_have_been_sent());
  CHECK(std::string(error->what()).find("no connection within 0.3 s: ") != std::string::npos);
  CHECK(std::string(error->what()).find("the message was not sent") != std::string::npos);
  CHECK_THROWS_AS(client->send("before", {}, {}, {.queue = "late"}), OperationalError);
  server.start();
  for (int tries = 0;; ++tries) {
    try {
      client->send("after", {}, {}, {.queue = "after"});
      break;
    } catch (const OperationalError&) {
      REQUIRE(tries < 100);
    }
  }
  CHECK(server.number({"LLEN", "late"}) == 0);
}

TEST_CASE("send_all outlives the server's death in its middle: every message arrives") {
  RedisServer server({"--appendonly", "yes", "--appendfsync", "always"});
  auto client = connected(settings_for(server), {.timeout = 60s});
  constexpr int all = 20000;
  auto sending = std::async(std::launch::async, [&] {
    std::vector<Json> lists;
    for (int i = 0; i < all; ++i) lists.push_back(Json::array({i}));
    return client->send_all("add", std::move(lists));
  });
  while (server.number({"LLEN", "celery"}) < 500) std::this_thread::yield();
  server.kill();
  server.start();
  const auto results = sending.get();
  std::set<std::string> sent, arrived;
  for (const auto& result : results) sent.insert(result.id());
  for (const std::string& text : server.run({"LRANGE", "celery", "0", "-1"}))
    arrived.insert(decode_envelope(text).value().properties.correlation_id);
  CHECK(sent.size() == all);
  CHECK(std::includes(arrived.begin(), arrived.end(), sent.begin(), sent.end()));
}

TEST_CASE("a store that is away is named by the timeout, and its results are read when it is back") {
  RedisServer broker, store({"--appendonly", "yes", "--appendfsync", "always"});
  Settings settings = settings_for(broker);
  settings.result_backend = store.url(1);
  auto client = connected(settings, {.timeout = 300ms});
  const AsyncResult result = client->send("add", {1, 2});
  end_task(store, result.id(), "SUCCESS", "3");
  store.kill();
  CHECK_THROWS_AS(result.state(), OperationalError);
  CHECK(thrown_by([&] { result.get(20ms); }).find("the result store " + store.url(1) + " is away: ") !=
        std::string::npos);
  store.start();
  CHECK(result.get(60s) == 3);
}

TEST_CASE("closing the client ends what waits; its results say so") {
  RedisServer server;
  auto client = connected(settings_for(server));
  const AsyncResult result = client->send("slow");
  std::promise<void> begun;
  auto waiting = std::async(std::launch::async, [&] {
    begun.set_value();
    return thrown_by([&] { result.get(); });
  });
  begun.get_future().wait();
  client.reset();
  CHECK(waiting.get() == "the client is closed");
  CHECK_THROWS_AS(result.state(), OperationalError);
  CHECK_THROWS_AS(result.revoke(), OperationalError);
  CHECK(result.as_tuple()[0][0] == result.id());
}

TEST_CASE("many threads use one client") {
  RedisServer server;
  auto client = connected(settings_for(server));
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const AsyncResult result = client->send("add", {t, i});
        end_task(server, result.id(), "SUCCESS", std::to_string(100 * t + i));
        if (result.get(60s) == 100 * t + i) ++right;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(right == 400);
  CHECK(server.number({"LLEN", "celery"}) == 400);
}
