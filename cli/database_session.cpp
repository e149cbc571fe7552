#include "cli/database_session.hpp"

#include "cli/command_line.hpp"
#include "cli/session.hpp"

#include <CLI/CLI.hpp>
#include <ostream>

namespace celeriac {

void add_database_option(CLI::App& options, std::string& url) {
  options.add_option("--database,--database-url", url,
                     "postgresql://... (default: the setting database_url)");
}

int with_database(CommandContext& context, const CLI::App& options, const std::string& url,
                  const Database::Options& how, const std::function<int(Database&)>& work) {
  std::string where = url;
  if (where.empty()) {
    const auto settings = load_command_settings(context);
    if (!settings) return exit_code::usage;
    where = settings->database_url;
  }
  if (where.empty())
    return refuse_usage(context, options,
                        "no database: give --database-url or set database_url (CELERY_DATABASE_URL)");
  try {
    Database database(where, how);
    return work(database);
  } catch (const DatabaseError& error) {
    context.err << "Error: " << error.what() << "\n";
    return error.kind == SqlFailure::operational ? exit_code::unavailable : exit_code::failure;
  } catch (const std::runtime_error& error) {
    context.err << "Error: " << error.what() << "\n";
    return exit_code::failure;
  }
}

}  // namespace celeriac
