// One blocking PostgreSQL connection. Meant for slots and commands, which are processes of
// their own; nothing here may run on the worker's loop.
//
// It connects on first use. A connection that the server or a proxy dropped while idle is
// opened again once, before a statement is sent; a statement that has been sent is never
// repeated. Values always travel as bound parameters, in text form, so a numeric keeps every
// digit. Used by one thread at a time.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

struct pg_conn;
struct pg_result;

namespace celeriac {

// What kind of failure it was, in the words of Python's DB-API.
enum class SqlFailure {
  operational,  // server gone, out of resources, deadlock, time-out: worth another try
  integrity,    // a constraint was violated
  data,         // a value does not fit its column
  programming,  // the statement itself, the schema, the permissions
};

// The text never holds the password.
struct DatabaseError : std::runtime_error {
  DatabaseError(SqlFailure failure, std::string state, const std::string& what)
      : std::runtime_error(what), kind(failure), sqlstate(std::move(state)) {}
  SqlFailure kind;
  std::string sqlstate;  // five characters; empty when the server never answered
};

std::string_view to_string(SqlFailure);  // "OperationalError", ...
SqlFailure classify_sqlstate(std::string_view sqlstate);

// A bound value; nullopt is NULL.
using SqlValue = std::optional<std::string>;

// The rows a statement returned. Views live as long as the Rows.
class Rows {
 public:
  explicit Rows(pg_result* result) : result_(result) {}

  int size() const;
  int columns() const;
  bool empty() const { return size() == 0; }
  int affected() const;  // rows an INSERT, UPDATE or DELETE touched
  bool is_null(int row, int column) const;
  std::string_view text(int row, int column) const;  // "" for NULL
  std::string str(int row, int column) const { return std::string(text(row, column)); }
  SqlValue value(int row, int column) const;
  bool truth(int row, int column) const { return text(row, column) == "t"; }

  struct Free {
    void operator()(pg_result* result) const noexcept;
  };

 private:
  std::unique_ptr<pg_result, Free> result_;
};

class Database {
 public:
  struct Options {
    std::chrono::seconds connect_timeout{5};              // unless the URL says otherwise
    std::chrono::milliseconds statement_timeout{30'000};  // 0: none
    std::string application_name = "celeriac";
  };

  // `url` is postgresql:// or postgres://; SQLAlchemy's postgresql+driver:// and Celery's
  // db+postgresql:// are understood as well. Connects later.
  explicit Database(std::string url);
  Database(std::string url, Options options);

  const std::string& url() const { return url_; }

  // Runs one statement; $1, $2, ... are bound to `values`. Throws DatabaseError.
  Rows run(const std::string& sql, const std::vector<SqlValue>& values = {});

  // Runs several statements at once, without values.
  void script(const std::string& sql);

  // Commits when `body` returns, rolls back when it throws. Not nestable.
  template <class Body>
  auto transaction(Body&& body) {
    Transaction open(*this);
    if constexpr (std::is_void_v<decltype(body())>) {
      body();
      open.commit();
    } else {
      auto result = body();
      open.commit();
      return result;
    }
  }

 private:
  class Transaction {
   public:
    explicit Transaction(Database& database);
    ~Transaction();
    void commit();

   private:
    Database& database_;
  };

  void ensure_connected();
  void connect();
  [[noreturn]] void fail(pg_result* result);

  struct Close {
    void operator()(pg_conn* connection) const noexcept;
  };
  std::string url_;
  Options options_;
  std::unique_ptr<pg_conn, Close> connection_;
  bool in_transaction_ = false;
};

}  // namespace celeriac
