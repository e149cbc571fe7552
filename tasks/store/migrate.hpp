// Versioned SQL migrations, compiled into the binary from tasks/migrations/NNNN_name.sql.
//
// Each runs in a transaction of its own, under an advisory lock, and is recorded with the
// checksum of its text in schema_migrations. Any number of migrators may run at once.
#pragma once

#include "tasks/store/database.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace celeriac {

struct Migration {
  int version = 0;
  std::string_view name;  // "0001_documents_and_invoices"
  std::string_view sql;

  std::string checksum() const;
};

// The invoice application's, by version.
std::span<const Migration> invoice_migrations();

enum class MigrationState {
  applied,
  pending,
  changed,  // applied, but its text is another one now
  unknown,  // applied by a newer binary
};
std::string_view to_string(MigrationState);

struct MigrationStatus {
  int version = 0;
  std::string name;
  MigrationState state = MigrationState::pending;
  std::string applied_at;  // ISO 8601, UTC; empty when pending
};

// Applied schema and known migrations side by side, by version. Changes nothing.
std::vector<MigrationStatus> migration_status(Database& database, std::span<const Migration> migrations);

// Applies what is pending and returns the names of what this call applied. Throws
// std::runtime_error, before touching anything, when an applied migration was changed or a
// pending one is older than an applied one; DatabaseError when a statement fails (the
// migrations before it stay applied).
std::vector<std::string> migrate(Database& database, std::span<const Migration> migrations);

}  // namespace celeriac
