// The way of commands to the application's database: the option --database-url, the setting behind it, and
// what is told when the database refuses.
#pragma once

#include "cli/command.hpp"
#include "tasks/store/database.hpp"

#include <functional>
#include <string>

namespace CLI {
class App;
}

namespace celeriac {

void add_database_option(CLI::App& options, std::string& url);

// Runs `work` with a connection to `url`, or to the setting's when it is empty; its exit code, or that of
// what went wrong, which is printed.
int with_database(CommandContext& context, const CLI::App& options, const std::string& url,
                  const Database::Options& how, const std::function<int(Database&)>& work);

}  // namespace celeriac
