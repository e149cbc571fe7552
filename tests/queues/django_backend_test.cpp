// The tables of django-celery-results, made by its own migrations.
#include "queues/connect.hpp"
#include "tests/queues/backend_conformance.hpp"
#include "tests/queues/postgres_server.hpp"

#include <doctest/doctest.h>

#include <cstdlib>

namespace celeriac::testing {
namespace {

// Null, said aloud, when there is no Python with Django.
const PostgresServer* migrated() {
  static const auto one = []() -> std::unique_ptr<PostgresServer> {
    const char* python = std::getenv("CELERIAC_CELERY56_PYTHON");
    if (!python) return nullptr;
    auto server = std::make_unique<PostgresServer>(std::vector<std::string>{"fsync=off"});
    const std::string command = std::string(python) +
                                " " CELERIAC_SOURCE_DIR "/tests/queues/backend_readback.py " +
                                server->url("django-db+postgresql") + " migrate";
    REQUIRE(std::system(command.c_str()) == 0);
    return server;
  }();
  if (!one) MESSAGE("CELERIAC_CELERY56_PYTHON is not set: no Django, not tried");
  return one.get();
}

BackendUnderTest django_store(const PostgresServer& postgres) {
  return {.make =
              [&](boost::asio::io_context& io, const Settings& settings) {
                return make_backend(io, settings, postgres.url("django-db+postgresql"));
              },
          .kill_connections =
              [&] {
                postgres.sql(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = "
                    "'celeriac'");
              },
          .success_replaces_success = true};
}

// Empty until all parts have ended; then their tuples.
std::string end_part(BackendLoop& loop, const char* id, std::int64_t index) {
  CHECK(loop.store_now(result_of(id, state::success, "1")).ok());
  std::optional<Expected<std::optional<ChordParts>>> answer;
  loop.backend->add_chord_part(ChordPart{"chord", id, index, "SUCCESS", "1"},
                               [&](Expected<std::optional<ChordParts>> all) { answer = std::move(all); });
  REQUIRE(loop.run_until([&] { return answer.has_value(); }));
  REQUIRE_MESSAGE(answer->has_value(), (*answer ? "" : answer->error().what));
  return **answer ? dump_json(*(**answer)->group) : "";
}

Status wait_for(BackendLoop& loop, const std::function<void(Done)>& ask) {
  std::optional<Status> answer;
  ask([&](Status status) { answer = std::move(status); });
  REQUIRE(loop.run_until([&] { return answer.has_value(); }));
  return *answer;
}

}  // namespace

TEST_CASE("the Django store keeps its contract") {
  if (auto* postgres = migrated()) exercise_backend(django_store(*postgres));
}

TEST_CASE("rows look as Django writes them") {
  auto* postgres = migrated();
  if (!postgres) return;
  BackendLoop loop(django_store(*postgres));
  auto result = result_of("row", state::success, R"({"total": 5})");
  result.extended = true;
  result.name = "invoices.read";
  result.args = "[1, 2]";
  result.worker = "w1@host";
  CHECK(loop.store_now(result).what == "");
  CHECK(
      postgres
          ->sql("SET timezone = 'UTC'; SELECT status, content_type, content_encoding, result, date_done, "
                "task_name, task_args, task_kwargs, worker, traceback IS NULL FROM "
                "django_celery_results_taskresult WHERE task_id = 'row'")
          .find(
              "SUCCESS|application/json|utf-8|{\"total\": 5}|2026-11-20 11:26:33.803322+00|invoices.read|[1, "
              "2]|{}|w1@host|t") != std::string::npos);
}

TEST_CASE("chords are counted in Django's row, whoever began them") {
  auto* postgres = migrated();
  if (!postgres) return;
  BackendLoop loop(django_store(*postgres));
  REQUIRE(loop.backend->counts_chords());
  const std::string all =
      R"([["chord", null], [[["part-0", null], null], [["part-1", null], null], [["part-2", null], null]]])";
  SUBCASE("by us") {
    CHECK(wait_for(loop, [&](Done done) {
            loop.backend->set_chord_size("chord", 3, std::move(done));
          }).what == "");
  }
  SUBCASE("by Python") {
    postgres->sql(
        "INSERT INTO django_celery_results_chordcounter (group_id, sub_tasks, count) VALUES ('chord', "
        "'[[[\"part-0\", null], null], [[\"part-1\", null], null], [[\"part-2\", null], null]]', 3)");
  }
  CHECK(end_part(loop, "part-2", 2) == "");
  CHECK(end_part(loop, "part-0", 0) == "");
  CHECK(end_part(loop, "part-0", 0) == "");  // delivered twice
  CHECK(end_part(loop, "part-1", 1) == all);
  CHECK(end_part(loop, "part-1", 1) == all);  // again, as after a crash before the body was sent
  CHECK(wait_for(loop, [&](Done done) { loop.backend->forget_chord("chord", std::move(done)); }).what == "");
  CHECK(end_part(loop, "part-1", 1) == "");
  postgres->sql("DELETE FROM django_celery_results_taskresult WHERE task_id LIKE 'part-%'");
}

}  // namespace celeriac::testing
