#include "tasks/store/migrate.hpp"
#include "tests/tasks/store_database.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

using namespace celeriac;
using testing::fresh_database;

namespace {

constexpr Migration first{1, "0001_first", "CREATE TABLE one (id integer); INSERT INTO one VALUES (1);"};
constexpr Migration second{2, "0002_second", "CREATE TABLE two (id integer);"};
constexpr Migration broken{3, "0003_broken", "CREATE TABLE three (id integer); SELECT nonsense;"};

std::string states(Database& database, const std::vector<Migration>& known) {
  std::string out;
  for (const auto& status : migration_status(database, known))
    out += std::string(to_string(status.state)) + " ";
  return out;
}

}  // namespace

TEST_CASE("the application's own migrations apply to an empty database, and only once") {
  Database database(fresh_database());
  const auto names = migrate(database, invoice_migrations());
  CHECK(names.size() == invoice_migrations().size());
  CHECK(migrate(database, invoice_migrations()).empty());
  for (const char* table : {"file_storage", "processing_jobs", "invoices", "invoice_line_items",
                            "validations", "invoice_validations", "audit_log", "invoice_extractions"}) {
    CAPTURE(table);
    CHECK_FALSE(database.run("SELECT to_regclass($1)", {table}).is_null(0, 0));
  }
}

TEST_CASE("versions ascend without a gap") {
  int expected = 1;
  for (const auto& migration : invoice_migrations()) CHECK(migration.version == expected++);
}

TEST_CASE("many migrators at once apply each migration once") {
  const std::string url = fresh_database();
  std::atomic<int> applied{0}, failures{0};
  std::vector<std::thread> migrators;
  for (int i = 0; i < 6; ++i) {
    migrators.emplace_back([&] {
      try {
        Database database(url);
        const std::vector<Migration> known{first, second};
        applied += static_cast<int>(migrate(database, known).size());
      } catch (const std::exception&) {
        ++failures;
      }
    });
  }
  for (auto& migrator : migrators) migrator.join();
  CHECK(failures == 0);
  CHECK(applied == 2);
  Database database(url);
  CHECK(database.run("SELECT count(*) FROM one").text(0, 0) == "1");
}

TEST_CASE("status tells pending, applied, changed and unknown apart and changes nothing") {
  Database database(fresh_database());
  CHECK(states(database, {first, second}) == "pending pending ");
  CHECK(database.run("SELECT to_regclass('schema_migrations')").is_null(0, 0));
  const std::vector<Migration> known{first, second};
  migrate(database, known);
  CHECK(states(database, {first, second}) == "applied applied ");
  CHECK(states(database, {first}) == "applied unknown ");
  Migration tampered = second;
  tampered.sql = "CREATE TABLE two (id bigint);";
  CHECK(states(database, {first, tampered}) == "applied changed ");
}

TEST_CASE("an applied migration that was changed stops every later one") {
  Database database(fresh_database());
  migrate(database, std::vector<Migration>{first});
  Migration tampered = first;
  tampered.sql = "CREATE TABLE one (id bigint);";
  CHECK_THROWS_WITH(migrate(database, std::vector<Migration>{tampered, second}),
                    "migration 0001_first was changed after it had been applied");
  CHECK(database.run("SELECT to_regclass('two')").is_null(0, 0));
}

TEST_CASE("a pending migration older than an applied one is refused") {
  Database database(fresh_database());
  migrate(database, std::vector<Migration>{second});
  CHECK_THROWS_WITH(migrate(database, std::vector<Migration>{first, second}),
                    "migration 0001_first is pending, but the later 0002_second is applied already");
}

TEST_CASE("a failing migration leaves nothing of itself and everything before it") {
  Database database(fresh_database());
  CHECK_THROWS_AS(migrate(database, std::vector<Migration>{first, broken}), DatabaseError);
  CHECK(database.run("SELECT to_regclass('three')").is_null(0, 0));
  CHECK(states(database, {first, broken}) == "applied pending ");
}

TEST_CASE("the schema refuses states that make no sense") {
  Database database(fresh_database());
  migrate(database, invoice_migrations());
  const std::string id = "00000000-0000-4000-8000-000000000001";
  const auto refused = [&](const std::string& sql) {
    CAPTURE(sql);
    try {
      database.run(sql);
      return false;
    } catch (const DatabaseError& error) {
      return error.kind == SqlFailure::integrity;
    }
  };
  const std::string job =
      "INSERT INTO processing_jobs (id, status, progress, completed_at) VALUES ('" + id + "', ";
  CHECK(refused(job + "'completed', 100, now())"));  // without result and file
  CHECK(refused(job + "'failed', 10, now())"));      // without a reason
  CHECK(refused(job + "'pending', 101, NULL)"));
  CHECK(refused(job + "'running', 5, NULL)"));  // without a start
  const std::string invoice = "INSERT INTO invoices (id, total_amount) VALUES ('" + id + "', ";
  CHECK(refused(invoice + "'NaN')"));
  CHECK(refused(invoice + "'Infinity')"));
  CHECK(refused(invoice + "'100000000000000')"));
  CHECK(refused(invoice + "'0.0000001')"));
  CHECK_FALSE(refused(invoice + "'-99999999999999.999999')"));
  CHECK(refused("UPDATE invoices SET currency = 'eur'"));
  CHECK(refused("UPDATE invoices SET confidence_score = 1.01"));
  CHECK(refused("UPDATE invoices SET validation_sent_at = now()"));
  CHECK(refused("INSERT INTO invoice_line_items (id, invoice_id, line_number) VALUES ('" + id + "', '" + id +
                "', 0)"));
}
