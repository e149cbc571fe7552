#include "queues/postgres/connection.hpp"
#include "tests/queues/loop.hpp"
#include "tests/queues/postgres_server.hpp"

#include <doctest/doctest.h>

#include <optional>

namespace celeriac::testing {
namespace {

PostgresServer& server() {
  static PostgresServer one({"fsync=off"});
  return one;
}

struct Client {
  boost::asio::io_context io;
  pg::Connection connection;
  int ups = 0, downs = 0;
  std::string why;

  explicit Client(const std::string& url = server().url("postgresql"))
      : connection(io, pg::connection_options(*parse_url(url)).value()) {}

  void start() {
    pg::Connection::Handlers handlers;
    handlers.on_up = [this] { ++ups; };
    handlers.on_down = [this](std::string what) { ++downs, why = what; };
    connection.start(std::move(handlers));
  }
  pg::Outcome run(std::vector<pg::Statement> transaction, pg::Repeat repeat = pg::Repeat::no) {
    std::optional<pg::Outcome> answer;
    connection.run(std::move(transaction), repeat,
                   [&](pg::Outcome outcome) { answer.emplace(std::move(outcome)); });
    REQUIRE(run_until(io, [&] { return answer.has_value(); }));
    return std::move(*answer);
  }
};

void kill_connections() {
  server().sql(
      "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'celeriac'");
}

}  // namespace

TEST_CASE("values go there and back") {
  Client client;
  client.start();
  auto outcome = client.run(
      {{"SELECT $1, $2, $3, $4, $5, $6, $7::text, $8, $9, $10, $11 + 1",
        {pg::text("x'\"\\"), pg::bytes(std::string("\0\xff", 2)), pg::int4(-5), pg::int8(1ll << 40),
         pg::float8(0.1), pg::boolean(true), pg::null(), pg::timestamp(0.000001), pg::timestamptz(-1),
         pg::jsonb("{\"a\": [1]}"), pg::literal("41")}}});
  REQUIRE(outcome.ok());
  const auto& rows = outcome.rows[0];
  const char* expected[] = {
      "x'\"\\", "\\x00ff",      "-5", "1099511627776", "0.1", "t", "", "1970-01-01 00:00:00.000001",
      nullptr,  "{\"a\": [1]}", "42"};
  for (int i = 0; i < 11; ++i)
    if (expected[i]) CHECK(rows.value(0, i) == expected[i]);
  CHECK(rows.is_null(0, 6));

  auto array = pg::ArrayParam::of_text();
  array.add("a");
  array.add_null();
  array.add("c,\"");
  outcome = client.run({{"SELECT unnest($1)", {std::move(array).finish()}}});
  REQUIRE(outcome.ok());
  CHECK(outcome.rows[0].size() == 3);
  CHECK(outcome.rows[0].is_null(1, 0));
  CHECK(outcome.rows[0].value(2, 0) == "c,\"");
}

TEST_CASE("a transaction is done as a whole or not at all, and names what was refused") {
  Client client;
  client.start();
  REQUIRE(client.run({{"DROP TABLE IF EXISTS whole"}, {"CREATE TABLE whole (x int PRIMARY KEY)"}}).ok());
  auto outcome =
      client.run({{"INSERT INTO whole VALUES (1)"}, {"INSERT INTO whole VALUES (1)"}, {"SELECT 1"}});
  CHECK(outcome.kind == pg::Outcome::Kind::refused);
  CHECK(outcome.sqlstate == "23505");
  CHECK(outcome.statement == 1);
  CHECK(client.downs == 0);
  outcome = client.run({{"INSERT INTO whole VALUES (1), (2)"}, {"SELECT count(*) FROM whole"}});
  REQUIRE(outcome.ok());
  CHECK(outcome.rows[0].affected() == 2);
  CHECK(outcome.rows[1].value(0, 0) == "2");
}

TEST_CASE("a constraint that is checked at the end refuses the transaction") {
  Client client;
  client.start();
  REQUIRE(client
              .run({{"DROP TABLE IF EXISTS late"},
                    {"CREATE TABLE late (x int UNIQUE DEFERRABLE INITIALLY DEFERRED)"}})
              .ok());
  auto outcome = client.run({{"INSERT INTO late VALUES (1)"}, {"INSERT INTO late VALUES (1)"}});
  CHECK(outcome.kind == pg::Outcome::Kind::refused);
  CHECK(outcome.sqlstate == "23505");
  CHECK(client.run({{"SELECT 1"}}).ok());
}

TEST_CASE("what was sent and not answered is repeated only if it may be") {
  Client client;
  client.start();
  REQUIRE(client.run({{"SELECT 1"}}).ok());
  std::vector<std::string> answers;
  const auto note = [&](std::string name) {
    return [&answers, name](pg::Outcome outcome) {
      answers.push_back(name + (outcome.ok()                              ? " done"
                                : outcome.kind == pg::Outcome::Kind::lost ? " lost"
                                                                          : " refused"));
    };
  };
  client.connection.query({"SELECT pg_sleep(0.3)"}, pg::Repeat::yes, note("a"));
  client.connection.query({"SELECT 1"}, pg::Repeat::no, note("b"));
  client.connection.query({"SELECT 1"}, pg::Repeat::yes, note("c"));
  REQUIRE(run_until(client.io, [] {
    return server().sql(
               "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE "
               "'%pg_sleep(0.3)%' "
               "AND application_name = 'celeriac'") != "0";
  }));
  kill_connections();
  REQUIRE(run_until(client.io, [&] { return client.downs > 0; }));
  client.connection.query({"SELECT 1"}, pg::Repeat::no, note("d"));
  REQUIRE(run_until(client.io, [&] { return answers.size() == 4; }));
  CHECK(answers == std::vector<std::string>{"b lost", "a done", "c done", "d done"});
}

TEST_CASE("cancel ends the statement, not the connection") {
  Client client;
  client.start();
  REQUIRE(client.run({{"SELECT 1"}}).ok());
  std::optional<pg::Outcome> answer;
  client.connection.query({"SELECT pg_sleep(30)"}, pg::Repeat::no,
                          [&](pg::Outcome outcome) { answer.emplace(std::move(outcome)); });
  REQUIRE(run_until(client.io, [&] {
    return server().sql(
               "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND state = 'active' "
               "AND application_name = 'celeriac'") != "0";
  }));
  client.connection.cancel();
  REQUIRE(run_until(client.io, [&] { return answer.has_value(); }));
  CHECK(answer->sqlstate == "57014");
  CHECK(client.downs == 0);
}

TEST_CASE("it comes up when the server does") {
  PostgresServer late({"fsync=off"});
  late.stop();
  Client client(late.url("postgresql"));
  client.start();
  REQUIRE(run_until(client.io, [&] { return client.downs > 0; }));
  bool done = false;
  client.connection.query({"SELECT 1"}, pg::Repeat::no, [&](pg::Outcome outcome) { done = outcome.ok(); });
  late.restart();
  CHECK(run_until(
      client.io, [&] { return done; }, std::chrono::seconds(20)));
  CHECK(client.ups == 1);
}

TEST_CASE("names are resolved, and a wrong one is an ordinary failure") {
  Client good("postgresql://postgres@localhost:" + std::to_string(server().port()) + "/postgres");
  good.start();
  CHECK(good.run({{"SELECT 1"}}).ok());
  Client bad("postgresql://postgres@no-such-host.invalid/postgres");
  bad.start();
  CHECK(run_until(bad.io, [&] { return bad.downs > 0; }));
  CHECK(bad.why.find("no-such-host.invalid") != std::string::npos);
}

TEST_CASE("what prepares a connection must succeed before it counts as up") {
  Client client;
  client.connection.prepare_with({{"SELECT 1"}, {"SELECT nonsense"}});
  client.start();
  REQUIRE(run_until(client.io, [&] { return client.downs > 0; }));
  CHECK(client.ups == 0);
  CHECK(client.why.find("nonsense") != std::string::npos);
}

TEST_CASE("large answers and large statements pass in pieces") {
  Client client;
  client.start();
  const std::string large(20u << 20, 'x');
  std::size_t answered = 0, bytes = 0;
  for (int i = 0; i < 4; ++i)
    client.connection.query({"SELECT $1", {pg::text(large)}}, pg::Repeat::no, [&](pg::Outcome outcome) {
      ++answered;
      if (outcome.ok()) bytes += outcome.rows[0].value(0, 0).size();
    });
  REQUIRE(run_until(
      client.io, [&] { return answered == 4; }, std::chrono::seconds(30)));
  CHECK(bytes == 4 * large.size());
}

TEST_CASE("a reply may destroy the connection") {
  boost::asio::io_context io;
  auto connection = std::make_unique<pg::Connection>(
      io, pg::connection_options(*parse_url(server().url("postgresql"))).value());
  connection->start({});
  connection->query({"SELECT 1"}, pg::Repeat::no, [&](pg::Outcome) { connection.reset(); });
  CHECK(run_until(io, [&] { return !connection; }));
  run_for(io, std::chrono::milliseconds(20));
}

}  // namespace celeriac::testing
