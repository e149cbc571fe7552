// The functions of SQLite that are used here, opened when they are first needed.
#pragma once

#include "queues/lazy/shared_library.hpp"

#include <sqlite3.h>

namespace celeriac::sqlite {

// clang-format off
#define CELERIAC_LIBSQLITE_FUNCTIONS(X) \
  X(sqlite3_bind_blob64) X(sqlite3_bind_int64) X(sqlite3_bind_null) X(sqlite3_bind_text64) \
  X(sqlite3_changes) X(sqlite3_clear_bindings) X(sqlite3_close_v2) X(sqlite3_column_blob) \
  X(sqlite3_column_bytes) X(sqlite3_column_int64) X(sqlite3_column_type) X(sqlite3_errmsg) \
  X(sqlite3_exec) X(sqlite3_extended_result_codes) X(sqlite3_finalize) X(sqlite3_get_autocommit) \
  X(sqlite3_open_v2) X(sqlite3_prepare_v3) X(sqlite3_reset) X(sqlite3_step)
// clang-format on

struct Libsqlite {
  static constexpr const char* file = "libsqlite3.so.0";
  static constexpr const char* package = "libsqlite3-0";

#define X(name) decltype(&::name) name = nullptr;
  CELERIAC_LIBSQLITE_FUNCTIONS(X)
#undef X

  void find_in(SharedLibrary& library) {
#define X(name) library.find(name, #name);
    CELERIAC_LIBSQLITE_FUNCTIONS(X)
#undef X
  }
};

// Only where load_functions<Libsqlite>() has succeeded before.
inline const Libsqlite& libsqlite() { return *load_functions<Libsqlite>(); }

#undef CELERIAC_LIBSQLITE_FUNCTIONS

}  // namespace celeriac::sqlite
