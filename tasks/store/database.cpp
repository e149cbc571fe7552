#include "tasks/store/database.hpp"

#include <libpq-events.h>
#include <libpq-fe.h>
#include <poll.h>

#include <unordered_map>

namespace celeriac {
namespace {

// libpq knows neither Celery's "db+" nor SQLAlchemy's "+driver".
std::string libpq_url(std::string url) {
  if (url.starts_with("db+")) url.erase(0, 3);
  const auto colon = url.find("://");
  const auto plus = url.find('+');
  if (colon != std::string::npos && plus < colon) url.erase(plus, colon - plus);
  return url;
}

struct FreeConninfo {
  void operator()(PQconninfoOption* options) const noexcept { PQconninfoFree(options); }
};

std::string password_in(const std::string& url) {
  const std::unique_ptr<PQconninfoOption, FreeConninfo> options(PQconninfoParse(url.c_str(), nullptr));
  for (const auto* option = options.get(); option && option->keyword; ++option) {
    if (std::string_view(option->keyword) == "password" && option->val) return option->val;
  }
  return {};
}

std::string trimmed(const char* text) {
  std::string out = text ? text : "";
  while (!out.empty() && (out.back() == '\n' || out.back() == ' ')) out.pop_back();
  return out;
}

void keep_silent(void*, const PGresult*) {}

// The statements of one connection, by their text, and the names of those that it has prepared. A text that
// comes a second time is prepared: from then on the server neither parses nor, mostly, plans it again.
struct Statements {
  static constexpr std::size_t most = 500;
  std::unordered_map<std::string, std::string> names;  // "": seen once
  unsigned prepared = 0;
};

int follow_connection(PGEventId event, void* info, void*) {
  if (event == PGEVT_REGISTER) {
    auto* const connection = static_cast<PGEventRegister*>(info)->conn;
    return PQsetInstanceData(connection, follow_connection, new Statements);
  }
  if (event == PGEVT_CONNDESTROY)
    delete static_cast<Statements*>(
        PQinstanceData(static_cast<PGEventConnDestroy*>(info)->conn, follow_connection));
  return 1;
}

// The name under which the statement is prepared; empty: it is not. `failed` gets what the server refused.
std::string prepared_name(PGconn* connection, const std::string& sql, PGresult*& failed) {
  auto* const statements = static_cast<Statements*>(PQinstanceData(connection, follow_connection));
  if (!statements) return {};
  const auto known = statements->names.find(sql);
  if (known == statements->names.end()) {
    if (statements->names.size() < Statements::most) statements->names.emplace(sql, "");
    return {};
  }
  if (known->second.empty()) {
    const std::string name = "celeriac_" + std::to_string(++statements->prepared);
    PGresult* const result = PQprepare(connection, name.c_str(), sql.c_str(), 0, nullptr);
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
      failed = result;
      return {};
    }
    PQclear(result);
    known->second = name;
  }
  return known->second;
}

// What a server says that has lost the statement, or whose tables have changed under it.
bool is_stale(std::string_view sqlstate) { return sqlstate == "26000" || sqlstate == "0A000"; }

}  // namespace

std::string_view to_string(SqlFailure failure) {
  switch (failure) {
    case SqlFailure::operational:
      return "OperationalError";
    case SqlFailure::integrity:
      return "IntegrityError";
    case SqlFailure::data:
      return "DataError";
    case SqlFailure::programming:
      return "ProgrammingError";
  }
  return "DatabaseError";
}

SqlFailure classify_sqlstate(std::string_view sqlstate) {
  const auto group = sqlstate.substr(0, 2);
  if (group == "23") return SqlFailure::integrity;
  if (group == "22") return SqlFailure::data;
  // No answer at all, connection, rollback and deadlock, resources, operator, system.
  for (const std::string_view passing : {"", "08", "25", "40", "53", "55", "57", "58"}) {
    if (group == passing) return SqlFailure::operational;
  }
  return SqlFailure::programming;
}

void Rows::Free::operator()(pg_result* result) const noexcept { PQclear(result); }
int Rows::columns() const { return PQnfields(result_.get()); }
int Rows::size() const { return PQntuples(result_.get()); }
int Rows::affected() const {
  const std::string count = PQcmdTuples(result_.get());
  return count.empty() ? 0 : std::stoi(count);
}
bool Rows::is_null(int row, int column) const { return PQgetisnull(result_.get(), row, column) == 1; }
std::string_view Rows::text(int row, int column) const {
  const int length = PQgetlength(result_.get(), row, column);
  return {PQgetvalue(result_.get(), row, column), static_cast<std::size_t>(length)};
}
SqlValue Rows::value(int row, int column) const {
  if (is_null(row, column)) return std::nullopt;
  return str(row, column);
}

void Database::Close::operator()(pg_conn* connection) const noexcept { PQfinish(connection); }

Database::Database(std::string url) : Database(std::move(url), Options{}) {}
Database::Database(std::string url, Options options)
    : url_(libpq_url(std::move(url))), options_(std::move(options)) {}

void Database::connect() {
  // libpq quotes a malformed URL, password included, in its message; ours does not.
  const std::unique_ptr<PQconninfoOption, FreeConninfo> readable(PQconninfoParse(url_.c_str(), nullptr));
  if (!readable || url_.find("://") == std::string::npos) {
    throw DatabaseError(SqlFailure::programming, "",
                        url_.empty() ? "no database URL is set (database_url, CELERY_DATABASE_URL)"
                                     : "the database URL cannot be read; expected postgresql://...");
  }
  // Later entries win, so what the URL says beats our time-out and name.
  const std::string timeout = std::to_string(options_.connect_timeout.count());
  const char* keywords[] = {"connect_timeout", "fallback_application_name", "client_encoding", "dbname",
                            nullptr};
  const char* values[] = {timeout.c_str(), options_.application_name.c_str(), "UTF8", url_.c_str(), nullptr};
  connection_.reset(PQconnectdbParams(keywords, values, 1));
  if (PQstatus(connection_.get()) != CONNECTION_OK) {
    std::string what = trimmed(PQerrorMessage(connection_.get()));
    const std::string password = password_in(url_);
    for (auto at = what.find(password); !password.empty() && at != std::string::npos;
         at = what.find(password)) {
      what.replace(at, password.size(), "**");
    }
    connection_.reset();
    throw DatabaseError(SqlFailure::operational, "", what);
  }
  PQsetNoticeReceiver(connection_.get(), keep_silent, nullptr);
  PQregisterEventProc(connection_.get(), follow_connection, "celeriac", nullptr);
  script("SET statement_timeout = " + std::to_string(options_.statement_timeout.count()) +
         "; SET TimeZone = 'UTC'; SET DateStyle = 'ISO'");
}

// An idle connection that was closed shows as readable; that is the one moment at which
// opening a new one is certain to repeat nothing.
void Database::ensure_connected() {
  if (!connection_) return connect();
  pollfd socket{PQsocket(connection_.get()), POLLIN, 0};
  // The server's farewell comes first, the end of the stream after it.
  while (connection_ && poll(&socket, 1, 0) > 0) {
    if (PQconsumeInput(connection_.get()) == 0) connection_.reset();
  }
  if (!connection_ || PQstatus(connection_.get()) != CONNECTION_OK) connect();
}

void Database::fail(pg_result* result) {
  const std::unique_ptr<pg_result, Rows::Free> owner(result);
  const char* state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : nullptr;
  const std::string sqlstate = state ? state : "";
  std::string what = result ? trimmed(PQresultErrorMessage(result)) : std::string();
  if (what.empty()) what = trimmed(PQerrorMessage(connection_.get()));
  if (PQstatus(connection_.get()) != CONNECTION_OK) {
    if (what.empty()) what = "the connection was lost";
    connection_.reset();
  }
  throw DatabaseError(classify_sqlstate(sqlstate), sqlstate, what);
}

Rows Database::run(const std::string& sql, const std::vector<SqlValue>& values) {
  if (!in_transaction_) ensure_connected();
  if (!connection_)
    throw DatabaseError(SqlFailure::operational, "", "the connection was lost in a transaction");
  std::vector<const char*> texts;
  texts.reserve(values.size());
  for (const auto& value : values) texts.push_back(value ? value->c_str() : nullptr);
  const int count = static_cast<int>(texts.size());
  PGresult* result = nullptr;
  const std::string name = values.empty() ? std::string() : prepared_name(connection_.get(), sql, result);
  if (!result)
    result =
        name.empty()
            ? PQexecParams(connection_.get(), sql.c_str(), count, nullptr, texts.data(), nullptr, nullptr, 0)
            : PQexecPrepared(connection_.get(), name.c_str(), count, texts.data(), nullptr, nullptr, 0);
  const auto status = PQresultStatus(result);
  if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) return Rows(result);
  const char* const state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  if (!name.empty() && state && is_stale(state)) {
    const Rows refused(result);
    const std::string what = trimmed(PQresultErrorMessage(result));
    connection_.reset();  // and all its statements; the next one connects
    throw DatabaseError(SqlFailure::operational, state, what);
  }
  fail(result);
}

void Database::script(const std::string& sql) {
  if (!connection_) ensure_connected();
  PGresult* result = PQexec(connection_.get(), sql.c_str());
  const auto status = PQresultStatus(result);
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY) fail(result);
  PQclear(result);
}

Database::Transaction::Transaction(Database& database) : database_(database) {
  if (database_.in_transaction_) throw std::logic_error("a transaction is open already");
  database_.run("BEGIN");
  database_.in_transaction_ = true;
}

Database::Transaction::~Transaction() {
  if (!database_.in_transaction_) return;
  database_.in_transaction_ = false;
  if (!database_.connection_) return;
  // A rollback that fails means the connection is gone, and with it the transaction.
  PQclear(PQexec(database_.connection_.get(), "ROLLBACK"));
  if (PQtransactionStatus(database_.connection_.get()) != PQTRANS_IDLE) database_.connection_.reset();
}

void Database::Transaction::commit() {
  database_.run("COMMIT");
  database_.in_transaction_ = false;
}

}  // namespace celeriac
