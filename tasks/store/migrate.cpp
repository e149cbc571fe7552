#include "tasks/store/migrate.hpp"

#include "tasks/store/digest.hpp"

#include <algorithm>
#include <map>
#include <optional>

namespace celeriac {
namespace {

// Any fixed number; it only has to be the same in every migrator.
constexpr std::string_view take_lock = "SELECT pg_advisory_xact_lock(7021893456120045)";

struct Applied {
  std::string name, checksum, at;
};

std::map<int, Applied> read_applied(Database& database) {
  std::map<int, Applied> applied;
  if (database.run("SELECT to_regclass('schema_migrations')").is_null(0, 0)) return applied;
  const Rows rows = database.run(
      "SELECT version, name, checksum, to_char(applied_at AT TIME ZONE 'UTC', "
      "'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
      " FROM schema_migrations ORDER BY version");
  for (int row = 0; row < rows.size(); ++row) {
    applied[std::stoi(rows.str(row, 0))] = {rows.str(row, 1), rows.str(row, 2), rows.str(row, 3)};
  }
  return applied;
}

std::vector<MigrationStatus> compare(const std::map<int, Applied>& applied,
                                     std::span<const Migration> known) {
  std::map<int, MigrationStatus> all;
  for (const auto& [version, entry] : applied) {
    all[version] = {version, entry.name, MigrationState::unknown, entry.at};
  }
  for (const auto& migration : known) {
    auto& status = all[migration.version];
    status.version = migration.version;
    status.name = std::string(migration.name);
    const auto found = applied.find(migration.version);
    status.state = found == applied.end()                           ? MigrationState::pending
                   : found->second.checksum == migration.checksum() ? MigrationState::applied
                                                                    : MigrationState::changed;
  }
  std::vector<MigrationStatus> list;
  for (auto& [version, status] : all) list.push_back(std::move(status));
  return list;
}

void refuse_inconsistency(const std::vector<MigrationStatus>& list) {
  std::optional<std::string> pending;
  for (const auto& status : list) {
    if (status.state == MigrationState::changed) {
      throw std::runtime_error("migration " + status.name + " was changed after it had been applied");
    }
    if (status.state == MigrationState::pending) {
      pending = status.name;
    } else if (pending) {
      throw std::runtime_error("migration " + *pending + " is pending, but the later " + status.name +
                               " is applied already");
    }
  }
}

// The next pending one, in one transaction; its name, or nothing when all are applied.
std::optional<std::string> apply_next(Database& database, std::span<const Migration> migrations) {
  return database.transaction([&]() -> std::optional<std::string> {
    database.run(std::string(take_lock));
    database.run(
        "CREATE TABLE IF NOT EXISTS schema_migrations ("
        " version integer PRIMARY KEY, name text NOT NULL, checksum char(64) NOT NULL,"
        " applied_at timestamptz NOT NULL DEFAULT now())");
    const auto list = compare(read_applied(database), migrations);
    refuse_inconsistency(list);
    const auto next = std::ranges::find(list, MigrationState::pending,
                                        [](const MigrationStatus& status) { return status.state; });
    if (next == list.end()) return std::nullopt;
    const auto migration =
        std::ranges::find(migrations, next->version, [](const Migration& known) { return known.version; });
    database.script(std::string(migration->sql));
    database.run("INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
                 {std::to_string(migration->version), std::string(migration->name), migration->checksum()});
    return std::string(migration->name);
  });
}

}  // namespace

std::string Migration::checksum() const { return sha256_hex(sql); }

std::string_view to_string(MigrationState state) {
  switch (state) {
    case MigrationState::applied:
      return "applied";
    case MigrationState::pending:
      return "pending";
    case MigrationState::changed:
      return "changed";
    case MigrationState::unknown:
      return "unknown";
  }
  return "?";
}

std::vector<MigrationStatus> migration_status(Database& database, std::span<const Migration> migrations) {
  return compare(read_applied(database), migrations);
}

std::vector<std::string> migrate(Database& database, std::span<const Migration> migrations) {
  std::vector<std::string> names;
  while (auto name = apply_next(database, migrations)) names.push_back(std::move(*name));
  return names;
}

}  // namespace celeriac
