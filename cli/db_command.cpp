#include "cli/db_command.hpp"

#include "cli/command_line.hpp"
#include "cli/database_session.hpp"
#include "cli/table.hpp"
#include "protocol/json.hpp"
#include "tasks/store/migrate.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ostream>

namespace celeriac {
namespace {

Json status_json(const std::vector<MigrationStatus>& list) {
  Json out = Json::array();
  for (const auto& status : list) {
    out.push_back({{"version", status.version},
                   {"name", status.name},
                   {"state", to_string(status.state)},
                   {"applied_at", status.applied_at.empty() ? Json(nullptr) : Json(status.applied_at)}});
  }
  return out;
}

void print_status(CommandContext& context, const std::vector<MigrationStatus>& list) {
  Table table({{"Version", Table::Align::right}, {"Migration"}, {"State"}, {"Applied at (UTC)"}});
  for (const auto& status : list) {
    table.add({std::to_string(status.version), status.name, std::string(to_string(status.state)),
               status.applied_at});
  }
  context.out << table.text(terminal_width(), use_color(context.globals.no_color));
}

int run_migrate(CommandContext& context, Database& database, bool json) {
  const auto applied = migrate(database, invoice_migrations());
  if (json) {
    context.out << dump_json(Json{{"applied", applied}}) << "\n";
  } else if (applied.empty()) {
    context.out << "The schema is up to date.\n";
  } else {
    for (const auto& name : applied) context.out << "Applied " << name << ".\n";
  }
  return exit_code::ok;
}

int run_status(CommandContext& context, Database& database, bool json) {
  const auto list = migration_status(database, invoice_migrations());
  if (json) {
    context.out << dump_json(status_json(list)) << "\n";
  } else {
    print_status(context, list);
  }
  return exit_code::ok;
}

int run_check(CommandContext& context, Database& database, bool json) {
  const auto list = migration_status(database, invoice_migrations());
  std::vector<MigrationStatus> faults;
  std::ranges::copy_if(list, std::back_inserter(faults), [](const MigrationStatus& status) {
    return status.state == MigrationState::pending || status.state == MigrationState::changed;
  });
  if (json) {
    context.out << dump_json(Json{{"ok", faults.empty()}, {"faults", status_json(faults)}}) << "\n";
  } else if (faults.empty()) {
    context.out << "The schema is what this binary needs.\n";
  } else {
    for (const auto& fault : faults) context.out << fault.name << " is " << to_string(fault.state) << ".\n";
    context.err << "Run 'celeriac db migrate'; a changed migration must be restored first.\n";
  }
  return faults.empty() ? exit_code::ok : exit_code::failure;
}

}  // namespace

int db_command(CommandContext& context, const Arguments& args) {
  auto options = command_options("db", "Create, update or check the invoice application's tables.");
  std::string url;
  bool json = false;
  add_database_option(*options, url);
  options->add_flag("-j,--json", json, "Print JSON");
  const auto* to_migrate =
      options->add_subcommand("migrate", "Apply what is pending; several may run at once");
  options->add_subcommand("status", "List every migration");
  const auto* to_check = options->add_subcommand("check", "Exit with 1 unless the schema is up to date");
  options->require_subcommand(1);
  options->fallthrough();
  for (auto* subcommand : options->get_subcommands({})) subcommand->fallthrough();
  if (const auto code = read_command(context, *options, args)) return *code;

  // A migration may rightly run for minutes.
  const Database::Options patient{.statement_timeout = std::chrono::milliseconds(0),
                                  .application_name = "celeriac db"};
  return with_database(context, *options, url, patient, [&](Database& database) {
    if (to_migrate->parsed()) return run_migrate(context, database, json);
    if (to_check->parsed()) return run_check(context, database, json);
    return run_status(context, database, json);
  });
}

}  // namespace celeriac
