#include "tests/tasks/store_database.hpp"
#include "tasks/store/database.hpp"

#include <doctest/doctest.h>

using namespace celeriac;
using testing::server;

namespace {

template <class Body>
DatabaseError failure_of(Body&& body) {
  try {
    body();
  } catch (const DatabaseError& error) {
    return error;
  }
  FAIL("nothing was thrown");
  return DatabaseError(SqlFailure::data, "", "");
}

}  // namespace

TEST_CASE("values travel as parameters: nothing in them is SQL, NULL is NULL, numerics keep their digits") {
  Database database(server().url("postgresql"));
  const std::string nasty = "'; DROP TABLE x; -- \\ \" \xC3\xA9";
  const Rows rows = database.run("SELECT $1::text, $2::text, $3::numeric",
                                 {nasty, std::nullopt, "12345678901234567890.10"});
  CHECK(rows.text(0, 0) == nasty);
  CHECK(rows.is_null(0, 1));
  CHECK_FALSE(rows.value(0, 1).has_value());
  CHECK(rows.text(0, 2) == "12345678901234567890.10");
}

TEST_CASE("Celery's and SQLAlchemy's URL forms, and sockets, are understood") {
  for (const std::string& url : {server().url("postgresql"), server().url("postgres"),
                                 server().url("db+postgresql"), server().url("postgresql+psycopg2"),
                                 server().url("db+postgresql+psycopg2"), server().socket_url("postgresql")}) {
    CAPTURE(url);
    Database database(url);
    CHECK(database.run("SELECT 1").text(0, 0) == "1");
  }
}

TEST_CASE("an idle connection that the server dropped is opened again") {
  Database database(server().url("postgresql"));
  const std::string pid = database.run("SELECT pg_backend_pid()").str(0, 0);
  server().sql("SELECT pg_terminate_backend(" + pid + ", 5000)");
  CHECK(database.run("SELECT pg_backend_pid()").text(0, 0) != pid);
}

TEST_CASE("a transaction whose connection dies fails, leaves nothing, and the next one works") {
  Database database(server().url("postgresql"));
  database.script("DROP TABLE IF EXISTS kept; CREATE TABLE kept (n integer)");
  const auto error = failure_of([&] {
    database.transaction([&] {
      database.run("INSERT INTO kept VALUES (1)");
      const std::string pid = database.run("SELECT pg_backend_pid()").str(0, 0);
      server().sql("SELECT pg_terminate_backend(" + pid + ", 5000)");
      database.run("INSERT INTO kept VALUES (2)");
    });
  });
  CHECK(error.kind == SqlFailure::operational);
  CHECK(database.run("SELECT count(*) FROM kept").text(0, 0) == "0");
  database.transaction([&] { database.run("INSERT INTO kept VALUES (3)"); });
  CHECK(database.run("SELECT count(*) FROM kept").text(0, 0) == "1");
}

TEST_CASE("a statement that is repeated is prepared; a table that changes under it is a passing failure") {
  Database database(server().url("postgresql"));
  database.run("CREATE TABLE changing (a int)");
  database.run("INSERT INTO changing VALUES (7)");
  const std::string all = "SELECT * FROM changing WHERE a = $1";
  for (int i = 0; i < 8; ++i) CHECK(database.run(all, {"7"}).columns() == 1);
  CHECK(database
            .run("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT * FROM changing%'")
            .str(0, 0) == "1");
  CHECK(failure_of([&] { database.run(all, {"nonsense"}); }).kind == SqlFailure::data);
  CHECK(database.run(all, {"7"}).size() == 1);
  database.run("ALTER TABLE changing ADD COLUMN b int");
  CHECK(failure_of([&] { database.run(all, {"7"}); }).kind == SqlFailure::operational);
  CHECK(database.run(all, {"7"}).columns() == 2);
  for (int i = 0; i < 4; ++i)
    CHECK(failure_of([&] { database.run("SELECT $1 FROM nowhere", {"1"}); }).kind == SqlFailure::programming);
  database.run("DROP TABLE changing");
}

TEST_CASE("an exception in a transaction rolls it back and is passed on") {
  Database database(server().url("postgresql"));
  database.script("DROP TABLE IF EXISTS kept; CREATE TABLE kept (n integer)");
  CHECK_THROWS_WITH(database.transaction([&] {
    database.run("INSERT INTO kept VALUES (1)");
    throw std::runtime_error("stop");
  }),
                    "stop");
  CHECK(database.run("SELECT count(*) FROM kept").text(0, 0) == "0");
}

TEST_CASE("failures are told apart") {
  Database database(server().url("postgresql"));
  database.script(
      "DROP TABLE IF EXISTS one; CREATE TABLE one (n integer PRIMARY KEY); INSERT INTO one VALUES (1)");
  CHECK(failure_of([&] { database.run("INSERT INTO one VALUES (1)"); }).kind == SqlFailure::integrity);
  CHECK(failure_of([&] { database.run("SELECT $1::integer", {"x"}); }).kind == SqlFailure::data);
  CHECK(failure_of([&] { database.run("SELECT nothing"); }).kind == SqlFailure::programming);
  CHECK(classify_sqlstate("40001") == SqlFailure::operational);
  CHECK(classify_sqlstate("40P01") == SqlFailure::operational);
  CHECK(classify_sqlstate("53300") == SqlFailure::operational);
  CHECK(classify_sqlstate("57P01") == SqlFailure::operational);
}

TEST_CASE("a statement that takes too long is ended by the server") {
  Database database(server().url("postgresql"), {.statement_timeout = std::chrono::milliseconds(50)});
  const auto error = failure_of([&] { database.run("SELECT pg_sleep(10)"); });
  CHECK(error.kind == SqlFailure::operational);
  CHECK(error.sqlstate == "57014");
}

TEST_CASE("no message holds the password") {
  for (const std::string url : {"postgresql://u:s3cret@127.0.0.1:1/x", "postgresql://u:s3cret@%zz/x",
                                "postgresql://u:s3cret@h/x?nonsense=s3cret", "mysql://u:s3cret@h/x"}) {
    CAPTURE(url);
    Database database(url);
    const auto error = failure_of([&] { database.run("SELECT 1"); });
    CHECK(std::string(error.what()).find("s3cret") == std::string::npos);
  }
  CHECK(failure_of([] { Database("").run("SELECT 1"); }).kind == SqlFailure::programming);
}
