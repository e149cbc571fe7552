#include "queues/connect.hpp"
#include "tests/config/temporary_folder.hpp"
#include "tests/queues/backend_conformance.hpp"
#include "tests/queues/small_disk.hpp"

#include <sqlite3.h>

#include <doctest/doctest.h>

#include <fstream>

namespace celeriac::testing {
namespace {

BackendUnderTest sqlite_store(const std::string& path) {
  return {
      .make = [path](boost::asio::io_context& io,
                     const Settings& settings) { return make_backend(io, settings, "db+sqlite:///" + path); },
      .keeps_relations = false,
      .success_replaces_success = true};
}

// Somebody else's connection to the same file.
class Other {
 public:
  explicit Other(const std::string& path) {
    REQUIRE(sqlite3_open(path.c_str(), &handle_) == SQLITE_OK);
    sqlite3_busy_timeout(handle_, 5000);
  }
  ~Other() { sqlite3_close(handle_); }
  Other(const Other&) = delete;
  Other& operator=(const Other&) = delete;

  // All rows, values separated by '|', rows by newlines.
  std::string sql(const std::string& statement) {
    std::string out;
    char* problem = nullptr;
    const auto row = [](void* target, int columns, char** values, char**) {
      auto& text = *static_cast<std::string*>(target);
      if (!text.empty()) text += "\n";
      for (int i = 0; i < columns; ++i) text += (i ? "|" : "") + std::string(values[i] ? values[i] : "");
      return 0;
    };
    const int result = sqlite3_exec(handle_, statement.c_str(), row, &out, &problem);
    INFO((problem ? problem : ""));
    sqlite3_free(problem);
    REQUIRE(result == SQLITE_OK);
    return out;
  }

 private:
  sqlite3* handle_ = nullptr;
};

}  // namespace

TEST_CASE("the SQLite store keeps its contract") {
  TemporaryFolder folder;
  exercise_backend(sqlite_store(folder.path() + "/results.db"));
}

TEST_CASE("it creates the tables that Celery 5.6 creates, however many come first") {
  TemporaryFolder folder;
  const std::string path = folder.path() + "/results.db";
  std::vector<std::unique_ptr<BackendLoop>> workers;
  for (int i = 0; i < 6; ++i) workers.push_back(std::make_unique<BackendLoop>(sqlite_store(path)));
  for (auto& worker : workers) REQUIRE(worker->run_until([&] { return worker->times_connected > 0; }));
  Other other(path);
  CHECK(other.sql("SELECT group_concat(name || ' ' || type || ' ' || \"notnull\" || ' ' || pk, ', ') FROM "
                  "pragma_table_info('celery_taskmeta')") ==
        "id INTEGER 1 1, task_id VARCHAR(155) 0 0, status VARCHAR(50) 0 0, result BLOB 0 0, date_done "
        "DATETIME 0 0, traceback TEXT 0 0, name VARCHAR(155) 0 0, args BLOB 0 0, kwargs BLOB 0 0, worker "
        "VARCHAR(155) 0 0, retries INTEGER 0 0, queue VARCHAR(155) 0 0");
  CHECK(other.sql("SELECT group_concat(name || ' ' || type || ' ' || \"notnull\" || ' ' || pk, ', ') FROM "
                  "pragma_table_info('celery_tasksetmeta')") ==
        "id INTEGER 1 1, taskset_id VARCHAR(155) 0 0, result BLOB 0 0, date_done DATETIME 0 0");
  CHECK(other.sql("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name") ==
        "ix_celery_taskmeta_date_done\nix_celery_tasksetmeta_date_done");
  CHECK(other.sql("PRAGMA journal_mode") == "wal");
}

TEST_CASE("rows look as SQLAlchemy writes them") {
  TemporaryFolder folder;
  const std::string path = folder.path() + "/results.db";
  BackendLoop loop(sqlite_store(path));
  CHECK(loop.store_now(result_of("dict", state::success, R"({"a": [1, 2.5, true, null, "x"]})")).ok());
  CHECK(loop.store_now(result_of("none", state::success)).ok());
  CHECK(loop.store_now(result_of("started", state::started)).ok());
  auto whole = result_of("whole", state::success, "5");
  whole.date_done = 1795173993;
  CHECK(loop.store_now(whole).ok());
  Other other(path);
  CHECK(
      other.sql("SELECT task_id, typeof(result), date_done, typeof(date_done) FROM celery_taskmeta ORDER BY "
                "id") ==
      "dict|blob|2026-11-20 11:26:33.803322|text\nnone|null|2026-11-20 11:26:33.803322|text\n"
      "started|null||null\nwhole|blob|2026-11-20 11:26:33.000000|text");
}

TEST_CASE("a bad row is an error for its task alone") {
  TemporaryFolder folder;
  BackendLoop loop(sqlite_store(folder.path() + "/results.db"));
  for (int i = 0; i < 200; ++i) {
    const auto id = i == 61 ? std::string("\xff") : "row-" + std::to_string(i);
    loop.store(result_of(id, state::success, i == 62 ? "{broken" : std::to_string(i)));
  }
  REQUIRE(loop.flush());
  CHECK(loop.failures == 2);
  CHECK(loop.stored == 198);
  CHECK((*loop.fetch("row-63"))["result"] == 63);
}

TEST_CASE("another process that writes for long is waited for") {
  TemporaryFolder folder;
  const std::string path = folder.path() + "/results.db";
  BackendLoop loop(sqlite_store(path));
  CHECK(loop.store_now(result_of("first", state::success)).ok());
  Other other(path);
  other.sql("BEGIN IMMEDIATE");
  for (int i = 0; i < 100; ++i) loop.store(result_of("later-" + std::to_string(i), state::success, "1"));
  REQUIRE(loop.run_until([&] { return loop.times_lost > 0; }));
  CHECK(loop.last_failure.find("locked") != std::string::npos);
  CHECK(loop.stored == 0);
  other.sql("COMMIT");
  REQUIRE(loop.flush());
  CHECK(loop.failures == 0);
  CHECK(other.sql("SELECT count(*) FROM celery_taskmeta") == "101");
}

TEST_CASE("a full disk keeps results waiting") {
  SmallDisk disk;
  if (!disk.available()) {
    MESSAGE("no right to mount: not tried");
    return;
  }
  BackendLoop loop(sqlite_store(disk.folder() + "/results.db"));
  CHECK(loop.store_now(result_of("first", state::success)).ok());
  disk.fill();
  const std::string value = "\"" + std::string(5000, 'x') + "\"";
  for (int i = 0; i < 20; ++i) loop.store(result_of("full-" + std::to_string(i), state::success, value));
  REQUIRE(loop.run_until([&] { return loop.times_lost > 0; }));
  CHECK(loop.last_failure.find("full") != std::string::npos);
  disk.make_room();
  REQUIRE(loop.flush());
  CHECK(loop.failures == 0);
  for (int i = 0; i < 20; ++i) CHECK(loop.fetch("full-" + std::to_string(i)));
}

TEST_CASE("expired results are deleted, others stay") {
  TemporaryFolder folder;
  Settings settings;
  settings.result_expires = 3600;
  const std::string path = folder.path() + "/results.db";
  BackendLoop loop(sqlite_store(path), settings);
  CHECK(loop.store_now(result_of("young", state::success)).ok());
  CHECK(loop.store_now(result_of("old", state::success)).ok());
  CHECK(loop.store_now(result_of("running", state::started)).ok());
  Other other(path);
  other.sql("UPDATE celery_taskmeta SET date_done = datetime('now') || '.5' WHERE task_id = 'young'");
  other.sql(
      "UPDATE celery_taskmeta SET date_done = datetime('now', '-2 hours') || '.5' WHERE task_id = 'old'");
  std::optional<Expected<std::uint64_t>> deleted;
  loop.backend->cleanup([&](Expected<std::uint64_t> count) { deleted = std::move(count); });
  REQUIRE(loop.run_until([&] { return deleted.has_value(); }));
  CHECK(**deleted == 1);
  CHECK(other.sql("SELECT task_id FROM celery_taskmeta ORDER BY id") == "young\nrunning");
}

TEST_CASE("a place that can hold no database ends it with a clear word") {
  TemporaryFolder folder;
  std::ofstream(folder.path() + "/text") << std::string(4096, 'x');
  for (const std::string& path : {folder.path() + "/missing/results.db", folder.path() + "/text"}) {
    boost::asio::io_context io;
    auto made = make_backend(io, {}, "db+sqlite:///" + path);
    REQUIRE(made.has_value());
    std::string why;
    Status verdict;
    (*made)->start([&](BrokerState state, std::string what) {
      if (state == BrokerState::failed) why = what;
    });
    (*made)->store(result_of("x", state::success), [&](Status status) { verdict = std::move(status); });
    io.run();
    CHECK(why.find(path) != std::string::npos);
    CHECK_FALSE(verdict.ok());
  }
  boost::asio::io_context io;
  CHECK_FALSE(make_backend(io, {}, "db+sqlite://").has_value());
  CHECK_FALSE(make_backend(io, {}, "db+sqlite:///:memory:").has_value());
  CHECK_FALSE(make_backend(io, {}, "db+sqlite://host/x.db").has_value());
}

}  // namespace celeriac::testing
