#include "queues/sqlite/sqlite_store.hpp"

#include "protocol/time.hpp"
#include "protocol/utf8.hpp"
#include "queues/database/result_row.hpp"
#include "queues/sqlite/database.hpp"
#include "queues/sqlite/libsqlite.hpp"

namespace celeriac {
namespace {

// SQLite itself waits this long for another process that writes; then the batch is tried again later.
constexpr const char* connection_settings =
    "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL";

std::string setting(const std::map<std::string, std::string>& values, const char* key,
                    const char* otherwise) {
  const auto found = values.find(key);
  return found == values.end() || found->second.empty() ? otherwise : found->second;
}

// As SQLAlchemy writes a DateTime: "2026-11-20 11:10:23.292537".
std::string date_text(double unix_seconds) {
  std::string out = format_iso8601(unix_seconds);
  out.resize(out.find('+'));
  out[out.find('T')] = ' ';
  if (out.find('.') == std::string::npos) out += ".000000";
  return out;
}

class SqliteStore : public BlockingStore {
 public:
  SqliteStore(const Settings& settings, std::string path)
      : path_(std::move(path)),
        table_(sqlite::quote_identifier(setting(settings.database_table_names, "task", "celery_taskmeta"))),
        group_table_(
            sqlite::quote_identifier(setting(settings.database_table_names, "group", "celery_tasksetmeta"))) {
  }

  std::optional<StoreFault> open() override {
    for (auto* statement : {&upsert_, &select_, &remove_}) *statement = sqlite::Statement();
    database_.close();
    if (const int result = database_.open(path_); result != SQLITE_OK) return fault(result);
    if (const int result = database_.run(connection_settings); result != SQLITE_OK) return fault(result);
    if (const int result = create(); result != SQLITE_OK) return fault(result);
    for (auto [statement, sql] : {std::pair{&upsert_, upsert_text()}, std::pair{&select_, select_text()},
                                  std::pair{&remove_, "DELETE FROM " + table_ + " WHERE task_id = ?1"}})
      if (const int result = database_.prepare(sql, *statement); result != SQLITE_OK) return fault(result);
    was_open_ = true;
    return std::nullopt;
  }

  StoreAnswer<std::vector<Status>> store(const std::vector<const TaskResult*>& batch) override {
    std::vector<Status> verdicts;
    if (const int result = database_.run("BEGIN IMMEDIATE"); result != SQLITE_OK) return failed(result);
    for (const TaskResult* result : batch) {
      auto row = make_row(*result);
      if (row && !is_utf8(row->task_id)) row = unexpected("its id is not UTF-8");
      if (!row) {
        verdicts.push_back({row.error().what});
        continue;
      }
      const int code = write(*row);
      const std::string problem = code == SQLITE_DONE ? "" : database_.problem();
      upsert_.reset();
      // A value the table does not take fails alone; all else ends the transaction, and it is done again.
      if (const int kind = code & 0xFF; kind == SQLITE_TOOBIG || kind == SQLITE_CONSTRAINT ||
                                        kind == SQLITE_MISMATCH || kind == SQLITE_RANGE) {
        verdicts.push_back({problem});
      } else if (code != SQLITE_DONE) {
        return abandon(code, problem);
      } else {
        verdicts.emplace_back();
      }
    }
    if (const int result = database_.run("COMMIT"); result != SQLITE_OK)
      return abandon(result, database_.problem());
    return verdicts;
  }

  StoreAnswer<Expected<std::optional<Json>>> fetch(const std::string& task_id) override {
    select_.bind_text(1, std::string_view(task_id));
    const int code = select_.step();
    if (code != SQLITE_ROW) {
      const std::string problem = database_.problem();
      select_.reset();
      if (code != SQLITE_DONE) return store_fault(problem);
      return Expected<std::optional<Json>>(std::nullopt);
    }
    ResultRow row;
    row.task_id = task_id;
    row.status = select_.text(0).value_or("");
    row.result = select_.text(1);
    if (const auto done = select_.text(2))
      if (const auto time = parse_iso8601(*done)) row.date_done = *time;
    row.traceback = select_.text(3);
    row.name = select_.text(4);
    row.args = select_.text(5);
    row.kwargs = select_.text(6);
    row.worker = select_.text(7);
    row.retries = select_.integer(8);
    row.queue = select_.text(9);
    select_.reset();
    auto meta = read_row(row);
    if (!meta) return Expected<std::optional<Json>>(tl::unexpected(meta.error()));
    return Expected<std::optional<Json>>(std::move(*meta));
  }

  StoreAnswer<bool> forget(const std::string& task_id) override {
    remove_.bind_text(1, std::string_view(task_id));
    const int code = remove_.step();
    const std::string problem = database_.problem();
    remove_.reset();
    if (code != SQLITE_DONE) return store_fault(problem);
    return database_.changes() > 0;
  }

  StoreAnswer<std::uint64_t> expire(double before) override {
    std::uint64_t deleted = 0;
    const std::string date = date_text(before);
    for (const std::string& table : {table_, group_table_}) {
      sqlite::Statement statement;
      int code = database_.prepare("DELETE FROM " + table + " WHERE date_done < ?1", statement);
      if (code == SQLITE_OK) {
        statement.bind_text(1, std::string_view(date));
        code = statement.step();
      }
      if (code != SQLITE_DONE) return store_fault(database_.problem());
      deleted += database_.changes();
    }
    return deleted;
  }

 private:
  // As SQLAlchemy creates them for Celery 5.6.
  int create() {
    const std::string sql =
        "CREATE TABLE IF NOT EXISTS " + table_ +
        " (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, task_id VARCHAR(155), status VARCHAR(50), "
        "result BLOB, date_done DATETIME, traceback TEXT, name VARCHAR(155), args BLOB, kwargs BLOB, "
        "worker VARCHAR(155), retries INTEGER, queue VARCHAR(155), UNIQUE (task_id)); "
        "CREATE TABLE IF NOT EXISTS " +
        group_table_ +
        " (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, taskset_id VARCHAR(155), result BLOB, "
        "date_done DATETIME, UNIQUE (taskset_id)); "
        "CREATE INDEX IF NOT EXISTS ix_celery_taskmeta_date_done ON " +
        table_ +
        " (date_done); "
        "CREATE INDEX IF NOT EXISTS ix_celery_tasksetmeta_date_done ON " +
        group_table_ + " (date_done)";
    return database_.run(sql.c_str());
  }

  // The state rule of PostgreSQL's store: a SUCCESS gives way to another SUCCESS only.
  std::string upsert_text() const {
    return "INSERT INTO " + table_ +
           " AS stored (task_id, status, result, date_done, traceback, name, args, kwargs, worker, retries, "
           "queue) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) "
           "ON CONFLICT (task_id) DO UPDATE SET status = excluded.status, result = excluded.result, "
           "date_done = excluded.date_done, traceback = excluded.traceback, name = excluded.name, "
           "args = excluded.args, kwargs = excluded.kwargs, worker = excluded.worker, "
           "retries = excluded.retries, queue = excluded.queue "
           "WHERE stored.status IS NOT 'SUCCESS' OR excluded.status = 'SUCCESS'";
  }

  std::string select_text() const {
    return "SELECT status, result, replace(date_done, ' ', 'T'), traceback, name, args, kwargs, worker, "
           "retries, queue FROM " +
           table_ + " WHERE task_id = ?1";
  }

  int write(const ResultRow& row) {
    std::optional<std::string> date_done;
    if (row.date_done) date_done = date_text(*row.date_done);
    upsert_.bind_text(1, std::string_view(row.task_id));
    upsert_.bind_text(2, std::string_view(row.status));
    upsert_.bind_blob(3, row.result);
    upsert_.bind_text(4, date_done);
    upsert_.bind_text(5, row.traceback);
    upsert_.bind_text(6, row.name);
    upsert_.bind_blob(7, row.args);
    upsert_.bind_blob(8, row.kwargs);
    upsert_.bind_text(9, row.worker);
    upsert_.bind_int(10, row.retries);
    upsert_.bind_text(11, row.queue);
    return upsert_.step();
  }

  // What a place without a database, or a file that is none, gives will not change by waiting.
  StoreFault fault(int code) const {
    const int kind = code & 0xFF;
    const bool for_good = !was_open_ && (kind == SQLITE_CANTOPEN || kind == SQLITE_NOTADB ||
                                         kind == SQLITE_PERM || kind == SQLITE_READONLY);
    return {"SQLite file '" + path_ + "': " + database_.problem(), for_good};
  }
  tl::unexpected<StoreFault> failed(int code) { return tl::unexpected<StoreFault>(fault(code)); }

  tl::unexpected<StoreFault> abandon(int code, const std::string& problem) {
    auto out = fault(code);
    out.what = "SQLite file '" + path_ + "': " + problem;
    // A full disk has often rolled back already. When this fails, open() starts with a new connection.
    if (database_.in_transaction()) database_.run("ROLLBACK");
    return tl::unexpected<StoreFault>(std::move(out));
  }

  const std::string path_, table_, group_table_;
  bool was_open_ = false;
  sqlite::Database database_;
  sqlite::Statement upsert_, select_, remove_;  // die before the database
};

}  // namespace

Expected<std::unique_ptr<BlockingStore>> make_sqlite_store(const Settings& settings, const Url& url) {
  if (!url.host.empty())
    return unexpected("'" + url.display() +
                      "': an SQLite URL has no host; write db+sqlite:///relative/path or "
                      "db+sqlite:////absolute/path");
  const std::string path = url.path.size() > 1 ? url.path.substr(1) : "";
  if (path.empty() || path == ":memory:")
    return unexpected("'" + url.display() + "': nobody else can read a database in memory; name a file");
  for (auto* part : {"task", "group"})
    if (settings.database_table_schemas.contains(part))
      return unexpected("database_table_schemas: SQLite has no schemas");
  if (const auto& loaded = load_functions<sqlite::Libsqlite>(); !loaded)
    return tl::unexpected(loaded.error());
  return std::make_unique<SqliteStore>(settings, path);
}

}  // namespace celeriac
