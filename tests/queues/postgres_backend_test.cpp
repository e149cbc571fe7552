#include "queues/connect.hpp"
#include "tests/queues/backend_conformance.hpp"
#include "tests/queues/loop.hpp"
#include "tests/queues/postgres_server.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <thread>

namespace celeriac::testing {
namespace {

PostgresServer& server() {
  static PostgresServer one;
  return one;
}

BackendUnderTest postgres_store(const PostgresServer& postgres = server()) {
  return {.make = [&](boost::asio::io_context& io,
                      const Settings& settings) { return make_backend(io, settings, postgres.url()); },
          .kill_connections =
              [&] {
                postgres.sql(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = "
                    "'celeriac'");
              },
          .keeps_relations = false,
          .success_replaces_success = true};
}

std::string columns_of(const PostgresServer& postgres, const std::string& schema, const std::string& table) {
  return postgres.sql(
      "SELECT string_agg(column_name || ' ' || data_type || coalesce('(' || character_maximum_length || ')', "
      "'')"
      " || ' ' || is_nullable || coalesce(' ' || column_default, ''), ', ' ORDER BY ordinal_position) "
      "FROM information_schema.columns WHERE table_schema = '" +
      schema + "' AND table_name = '" + table + "'");
}

}  // namespace

TEST_CASE("the PostgreSQL store keeps its contract") { exercise_backend(postgres_store()); }

TEST_CASE("it creates the tables that Celery 5.6 creates") {
  PostgresServer fresh({"fsync=off"});
  std::vector<std::unique_ptr<BackendLoop>> workers;  // many at once
  for (int i = 0; i < 8; ++i) workers.push_back(std::make_unique<BackendLoop>(postgres_store(fresh)));
  for (auto& worker : workers) REQUIRE(worker->run_until([&] { return worker->times_connected > 0; }));
  for (auto& worker : workers) CHECK(worker->times_lost == 0);
  CHECK(columns_of(fresh, "public", "celery_taskmeta") ==
        "id integer NO, task_id character varying(155) YES, status character varying(50) YES, result bytea "
        "YES, "
        "date_done timestamp without time zone YES, traceback text YES, name character varying(155) YES, "
        "args bytea YES, "
        "kwargs bytea YES, worker character varying(155) YES, retries integer YES, queue character "
        "varying(155) YES");
  CHECK(columns_of(fresh, "public", "celery_tasksetmeta") ==
        "id integer NO, taskset_id character varying(155) YES, result bytea YES, date_done timestamp without "
        "time zone YES");
  CHECK(fresh.sql("SELECT string_agg(indexname, ' ' ORDER BY indexname) FROM pg_indexes WHERE schemaname = "
                  "'public'") ==
        "celery_taskmeta_pkey celery_taskmeta_task_id_key celery_tasksetmeta_pkey "
        "celery_tasksetmeta_taskset_id_key "
        "ix_celery_taskmeta_date_done ix_celery_tasksetmeta_date_done");
  CHECK(fresh.sql("SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relkind = 'S'") ==
        "task_id_sequence taskset_id_sequence");
  CHECK(fresh.sql("SELECT count(*) FROM pg_depend d JOIN pg_class c ON c.oid = d.objid WHERE c.relkind = 'S' "
                  "AND d.deptype = 'a'") == "0");
}

TEST_CASE("tables may have other names and schemas, and may be created at the first use") {
  PostgresServer fresh({"fsync=off"});
  fresh.sql("CREATE SCHEMA \"Results\"");
  Settings settings;
  settings.database_table_names = {{"task", "Task Meta"}, {"group", "groups"}};
  settings.database_table_schemas = {{"task", "Results"}};
  settings.database_create_tables_at_setup = false;
  BackendLoop loop(postgres_store(fresh), settings);
  CHECK_FALSE(loop.fetch("x"));
  CHECK(fresh.sql("SELECT count(*) FROM pg_class WHERE relname = 'Task Meta'") == "0");
  CHECK(loop.store_now(result_of("x", state::success, "1")).what == "");
  CHECK((*loop.fetch("x"))["result"] == 1);
  CHECK(fresh.sql("SELECT status FROM \"Results\".\"Task Meta\"") == "SUCCESS");
  CHECK(fresh.sql("SELECT last_value FROM \"Results\".task_id_sequence") == "1");
  CHECK(fresh.sql("SELECT count(*) FROM groups") == "0");
}

TEST_CASE("a bad row is an error for its task alone") {
  BackendLoop loop(postgres_store());
  REQUIRE(loop.run_until([&] { return loop.times_connected > 0; }));
  std::size_t bad = 0;
  for (int i = 0; i < 200; ++i) {
    std::string id = "row-" + std::to_string(i);
    if (i % 67 == 5) id += std::string(200, 'x'), ++bad;
    if (i == 60) id += std::string("\0x", 2), ++bad;
    if (i == 61) id += "\xff", ++bad;
    auto result = result_of(id, state::success, i == 62 ? "{broken" : std::to_string(i));
    bad += i == 62;
    loop.store(result);
  }
  REQUIRE(loop.flush());
  CHECK(loop.failures == bad);
  CHECK(loop.stored == 200 - bad);
  CHECK(server().sql("SELECT count(*) FROM celery_taskmeta WHERE task_id LIKE 'row-%'") ==
        std::to_string(200 - bad));
}

TEST_CASE("a traceback or a name that PostgreSQL would refuse is mended") {
  BackendLoop loop(postgres_store());
  auto result =
      result_of("mended", state::failure, R"({"exc_type": "E", "exc_message": [], "exc_module": "m"})");
  result.traceback = std::string("a\0b \xff \xed\xa0\x80 \xc3\xa9", 12);
  result.extended = true;
  for (int i = 0; i < 200; ++i) result.name += "\xc3\xa9";
  CHECK(loop.store_now(result).what == "");
  auto meta = loop.fetch("mended");
  CHECK((*meta)["traceback"] ==
        "a\xef\xbf\xbd"
        "b \xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xc3\xa9");
  CHECK((*meta)["name"].get<std::string>().size() == 310);
}

TEST_CASE("updates use up no ids") {
  PostgresServer fresh({"fsync=off"});
  BackendLoop loop(postgres_store(fresh));
  for (int round = 0; round < 5; ++round)
    for (int i = 0; i < 10; ++i) {
      loop.store(result_of("id-" + std::to_string(i), state::started));
      if (i == 9) REQUIRE(loop.flush());
    }
  CHECK(fresh.sql("SELECT last_value FROM task_id_sequence") == "10");
}

TEST_CASE("expired results are deleted in pieces, others stay") {
  PostgresServer fresh({"fsync=off"});
  Settings settings;
  settings.result_expires = 3600;
  BackendLoop loop(postgres_store(fresh), settings);
  REQUIRE(loop.store_now(result_of("young", state::success)).ok());
  fresh.sql("UPDATE celery_taskmeta SET date_done = now() AT TIME ZONE 'UTC'");
  fresh.sql(
      "INSERT INTO celery_taskmeta (id, task_id, status, date_done) SELECT 1000 + n, 'old-' || n, 'SUCCESS', "
      "now() AT TIME ZONE 'UTC' - interval '2 hours' FROM generate_series(1, 2500) AS n");
  std::optional<Expected<std::uint64_t>> deleted;
  loop.backend->cleanup([&](Expected<std::uint64_t> count) { deleted = std::move(count); });
  REQUIRE(loop.run_until([&] { return deleted.has_value(); }));
  CHECK(**deleted == 2500);
  CHECK(fresh.sql("SELECT string_agg(task_id, ',') FROM celery_taskmeta") == "young");
}

TEST_CASE("times are UTC whatever the session's zone") {
  PostgresServer tokyo({"fsync=off", "timezone=Asia/Tokyo"});
  BackendLoop loop(postgres_store(tokyo));
  CHECK(loop.store_now(result_of("zone", state::success)).ok());
  CHECK(tokyo.sql("SELECT date_done FROM celery_taskmeta") == "2026-11-20 11:26:33.803322");
}

TEST_CASE("a store that refuses for a while loses nothing") {
  PostgresServer fresh({"fsync=off"});
  BackendLoop loop(postgres_store(fresh));
  CHECK(loop.store_now(result_of("first", state::success)).ok());
  fresh.sql("ALTER DATABASE postgres SET default_transaction_read_only = on");
  postgres_store(fresh).kill_connections();
  REQUIRE(loop.run_until([&] { return loop.times_lost > 0; }));
  loop.store(result_of("second", state::success, "2"));
  const auto lost = loop.times_lost;
  REQUIRE(loop.run_until([&] { return loop.times_lost > lost; }));
  fresh.sql("BEGIN READ WRITE; ALTER DATABASE postgres RESET default_transaction_read_only; COMMIT");
  postgres_store(fresh).kill_connections();
  REQUIRE(loop.flush());
  CHECK(loop.failures == 0);
  CHECK((*loop.fetch("second"))["result"] == 2);

  fresh.sql("DROP TABLE celery_taskmeta");
  CHECK(loop.store_now(result_of("third", state::success, "3")).what == "");
  CHECK((*loop.fetch("third"))["result"] == 3);
}

TEST_CASE("a user, password or database that the server refuses ends it at the start") {
  PostgresServer fresh({"fsync=off"});
  fresh.sql("CREATE ROLE clerk LOGIN PASSWORD 'right'");
  fresh.sql("ALTER SYSTEM SET password_encryption = 'scram-sha-256'");
  const std::string rules = fresh.sql("SHOW hba_file");
  const std::string kept = [&] {
    std::ifstream in(rules);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }();
  std::ofstream(rules) << "host all clerk 127.0.0.1/32 scram-sha-256\n" << kept;
  fresh.sql("SELECT pg_reload_conf()");
  const std::string address = "@127.0.0.1:" + std::to_string(fresh.port()) + "/";
  struct Case {
    std::string url, why;
  };
  for (const Case& c :
       {Case{"db+postgresql://clerk:wrong" + address + "postgres", "password authentication failed"},
        Case{"db+postgresql://clerk" + address + "postgres", "no password supplied"},
        Case{"db+postgresql://nobody" + address + "postgres", "role \"nobody\" does not exist"},
        Case{"db+postgresql://postgres" + address + "missing", "\"missing\" does not exist"}}) {
    boost::asio::io_context io;
    auto made = make_backend(io, {}, c.url);
    REQUIRE(made.has_value());
    std::string failed;
    std::optional<Status> stored;
    std::optional<Expected<std::optional<Json>>> fetched;
    (*made)->start([&](BrokerState state, std::string what) {
      if (state == BrokerState::failed) failed = what;
    });
    (*made)->store(result_of("x", state::success), [&](Status status) { stored = std::move(status); });
    (*made)->fetch("x", [&](Expected<std::optional<Json>> meta) { fetched.emplace(std::move(meta)); });
    REQUIRE(run_until(io, [&] { return stored && fetched; }));
    CAPTURE(failed);
    CHECK(failed.find(c.why) != std::string::npos);
    CHECK(failed.find("LOCATION") == std::string::npos);
    CHECK(stored->what.find(c.why) != std::string::npos);
    CHECK_FALSE(fetched->has_value());
    bool stopped = false;
    (*made)->stop([&] { stopped = true; });
    CHECK(run_until(io, [&] { return stopped; }));
  }
}

TEST_CASE("further sessions are opened under load, and keep the order of each task") {
  PostgresServer fresh({"fsync=off"});
  const auto sessions = [&] {
    return fresh.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'celeriac'");
  };
  BackendLoop loop(postgres_store(fresh));
  CHECK(loop.store_now(result_of("first", state::success)).ok());
  CHECK(sessions() == "1");
  for (int i = 0; i < 20000; ++i) {
    loop.store(result_of("load-" + std::to_string(i % 5000), "PROGRESS", std::to_string(i)));
    if (i % 1000 == 0) loop.io.poll();
  }
  REQUIRE(loop.flush());
  CHECK(sessions() == "3");
  CHECK(fresh.sql("SELECT count(*) FROM celery_taskmeta") == "5001");
  for (int i = 0; i < 5000; i += 97) CHECK((*loop.fetch("load-" + std::to_string(i)))["result"] == 15000 + i);
  CHECK(loop.failures == 0);
}

TEST_CASE("results survive a crash of the server") {
  PostgresServer fresh;
  BackendLoop loop(postgres_store(fresh));
  for (int i = 0; i < 1000; ++i) loop.store(result_of("crash-" + std::to_string(i), state::success, "1"));
  REQUIRE(loop.run_until([&] { return loop.stored >= 200; }));
  fresh.restart();
  REQUIRE(loop.flush());
  CHECK(loop.failures == 0);
  CHECK(fresh.sql("SELECT count(*) FROM celery_taskmeta WHERE status = 'SUCCESS'") == "1000");
}

TEST_CASE("URLs are read as Celery and libpq read them") {
  boost::asio::io_context io;
  for (auto* scheme : {"db+postgresql", "db+postgresql+psycopg2", "db+postgres"}) {
    BackendUnderTest under_test = postgres_store();
    under_test.make = [&](boost::asio::io_context& loop_io, const Settings& settings) {
      return make_backend(loop_io, settings, server().url(scheme));
    };
    BackendLoop loop(under_test);
    CHECK(loop.store_now(result_of("url", state::success)).ok());
  }
  BackendUnderTest by_socket = postgres_store();
  by_socket.make = [&](boost::asio::io_context& loop_io, const Settings& settings) {
    return make_backend(loop_io, settings, server().socket_url());
  };
  BackendLoop loop(by_socket);
  CHECK(loop.store_now(result_of("url", state::success)).ok());

  auto unknown = make_backend(io, {}, "db+postgresql://u:secret@h/d?colour=red");
  REQUIRE_FALSE(unknown.has_value());
  CHECK(unknown.error().what.find("colour") != std::string::npos);
  CHECK(unknown.error().what.find("secret") == std::string::npos);
  CHECK_FALSE(make_backend(io, {}, "mongodb://h/d").has_value());
  CHECK(*make_backend(io, {}, "") == nullptr);
  CHECK(*make_backend(io, {}, "disabled://") == nullptr);
}

}  // namespace celeriac::testing
