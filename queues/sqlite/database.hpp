// An SQLite database file and its prepared statements. Calls block: not for the loop.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace celeriac::sqlite {

struct CloseDatabase {
  void operator()(sqlite3* database) const noexcept;
};
struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const noexcept;
};

class Statement {
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* owned) : handle_(owned) {}

  // Places count from 1. The text must live until the statement was stepped to its end.
  void bind_text(int place, std::string_view text);
  void bind_text(int place, const std::optional<std::string>& text);
  void bind_blob(int place, const std::optional<std::string>& bytes);
  void bind_int(int place, std::optional<std::int64_t> value);

  int step();  // SQLITE_ROW, SQLITE_DONE or an error
  void reset();

  // Columns count from 0.
  std::optional<std::string> text(int column) const;
  std::optional<std::int64_t> integer(int column) const;

 private:
  std::unique_ptr<sqlite3_stmt, FinalizeStatement> handle_;
};

class Database {
 public:
  // Opens, and creates if need be. The result is SQLITE_OK or an error, told by problem().
  int open(const std::string& path);
  void close();

  int run(const char* sql);  // any number of statements without parameters
  int prepare(const std::string& sql, Statement& out);
  bool in_transaction() const;
  std::uint64_t changes() const;  // rows touched by the last INSERT, UPDATE or DELETE
  std::string problem() const;    // what went wrong last

 private:
  std::unique_ptr<sqlite3, CloseDatabase> handle_;
};

// "name" as SQL, to the letter.
std::string quote_identifier(std::string_view name);

}  // namespace celeriac::sqlite
