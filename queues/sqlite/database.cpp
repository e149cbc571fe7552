#include "queues/sqlite/database.hpp"
#include "queues/sqlite/libsqlite.hpp"

namespace celeriac::sqlite {

void CloseDatabase::operator()(sqlite3* database) const noexcept { libsqlite().sqlite3_close_v2(database); }
void FinalizeStatement::operator()(sqlite3_stmt* statement) const noexcept {
  libsqlite().sqlite3_finalize(statement);
}

void Statement::bind_text(int place, std::string_view text) {
  libsqlite().sqlite3_bind_text64(handle_.get(), place, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
}

void Statement::bind_text(int place, const std::optional<std::string>& text) {
  if (text)
    bind_text(place, std::string_view(*text));
  else
    libsqlite().sqlite3_bind_null(handle_.get(), place);
}

void Statement::bind_blob(int place, const std::optional<std::string>& bytes) {
  if (bytes)
    libsqlite().sqlite3_bind_blob64(handle_.get(), place, bytes->data(), bytes->size(), SQLITE_STATIC);
  else
    libsqlite().sqlite3_bind_null(handle_.get(), place);
}

void Statement::bind_int(int place, std::optional<std::int64_t> value) {
  if (value)
    libsqlite().sqlite3_bind_int64(handle_.get(), place, *value);
  else
    libsqlite().sqlite3_bind_null(handle_.get(), place);
}

int Statement::step() { return libsqlite().sqlite3_step(handle_.get()); }

void Statement::reset() {
  libsqlite().sqlite3_reset(handle_.get());  // repeats the error of step(), which was seen there
  libsqlite().sqlite3_clear_bindings(handle_.get());
}

std::optional<std::string> Statement::text(int column) const {
  if (libsqlite().sqlite3_column_type(handle_.get(), column) == SQLITE_NULL) return std::nullopt;
  const auto* bytes = static_cast<const char*>(libsqlite().sqlite3_column_blob(handle_.get(), column));
  const auto size = static_cast<std::size_t>(libsqlite().sqlite3_column_bytes(handle_.get(), column));
  return bytes ? std::string(bytes, size) : std::string();
}

std::optional<std::int64_t> Statement::integer(int column) const {
  if (libsqlite().sqlite3_column_type(handle_.get(), column) == SQLITE_NULL) return std::nullopt;
  return libsqlite().sqlite3_column_int64(handle_.get(), column);
}

int Database::open(const std::string& path) {
  sqlite3* opened = nullptr;
  const int result = libsqlite().sqlite3_open_v2(
      path.c_str(), &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  handle_.reset(opened);  // there is one even when it failed, and it knows why
  if (result == SQLITE_OK) libsqlite().sqlite3_extended_result_codes(opened, 1);
  return result;
}

void Database::close() { handle_.reset(); }

int Database::run(const char* sql) {
  return libsqlite().sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
}

int Database::prepare(const std::string& sql, Statement& out) {
  sqlite3_stmt* made = nullptr;
  const int result = libsqlite().sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                                    SQLITE_PREPARE_PERSISTENT, &made, nullptr);
  out = Statement(made);
  return result;
}

bool Database::in_transaction() const { return libsqlite().sqlite3_get_autocommit(handle_.get()) == 0; }
std::uint64_t Database::changes() const {
  return static_cast<std::uint64_t>(libsqlite().sqlite3_changes(handle_.get()));
}
std::string Database::problem() const { return libsqlite().sqlite3_errmsg(handle_.get()); }

std::string quote_identifier(std::string_view name) {
  std::string out = "\"";
  for (char c : name) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

}  // namespace celeriac::sqlite
