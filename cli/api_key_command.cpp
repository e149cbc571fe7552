#include "cli/api_key_command.hpp"

#include "cli/command_line.hpp"
#include "cli/database_session.hpp"
#include "cli/table.hpp"
#include "http/api_keys.hpp"
#include "protocol/json.hpp"

#include <CLI/CLI.hpp>
#include <ostream>

namespace celeriac {
namespace {

int create(CommandContext& context, Database& database, const http::NewApiKey& wanted, bool json) {
  const auto made = http::make_api_key(database, wanted);
  if (made.role_differs) {
    context.err << "Error: " << wanted.email << " is there already and is no " << wanted.role
                << "; give the role that it has, or another address\n";
    return exit_code::failure;
  }
  if (json) {
    context.out << dump_json(Json{{"id", made.id}, {"key", made.key}, {"user_id", made.user_id}}) << "\n";
    return exit_code::ok;
  }
  context.out << made.key << "\n";
  context.err << "Keep it: only its digest is stored. Send it as X-API-Key, or give it to a browser as the "
                 "password.\nRevoke it with: celeriac api-key revoke "
              << made.id << "\n";
  return exit_code::ok;
}

int list(CommandContext& context, Database& database, bool json) {
  const auto keys = http::list_api_keys(database);
  if (json) {
    Json out = Json::array();
    const auto text = [](const std::string& value) { return value.empty() ? Json(nullptr) : Json(value); };
    for (const auto& key : keys)
      out.push_back(Json{{"id", key.id},
                         {"name", key.name},
                         {"prefix", key.prefix},
                         {"user", key.email},
                         {"role", key.role},
                         {"tasks", parse_json(key.tasks).value_or(Json::array())},
                         {"active", key.active},
                         {"created", text(key.created)},
                         {"expires", text(key.expires)},
                         {"last_used", text(key.last_used)}});
    context.out << dump_json(out) << "\n";
    return exit_code::ok;
  }
  if (keys.empty()) {
    context.err << "No keys. Make one: celeriac api-key create NAME --email you@example.com\n";
    return exit_code::ok;
  }
  Table table({{"PREFIX"}, {"NAME"}, {"USER"}, {"ROLE"}, {"ACTIVE"}, {"EXPIRES"}, {"LAST USED"}, {"ID"}});
  for (const auto& key : keys)
    table.add({key.prefix, key.name, key.email, key.role, key.active ? "yes" : "no",
               key.expires.empty() ? "never" : key.expires, key.last_used.empty() ? "never" : key.last_used,
               key.id});
  context.out << table.text(terminal_width(), use_color(context.globals.no_color));
  return exit_code::ok;
}

int revoke(CommandContext& context, Database& database, const std::string& which, bool json) {
  const int count = http::revoke_api_key(database, which);
  if (json)
    context.out << dump_json(Json{{"revoked", count}}) << "\n";
  else if (count > 0)
    context.out << "Revoked " << which << ".\n";
  if (count > 0) return exit_code::ok;
  context.err << "Error: no active key has this id or prefix; see celeriac api-key ls\n";
  return exit_code::failure;
}

}  // namespace

int api_key_command(CommandContext& context, const Arguments& args) {
  auto options = command_options("api-key", "Makes, lists and revokes keys for the HTTP front end.");
  http::NewApiKey wanted;
  std::string url, which;
  bool json = false;
  add_database_option(*options, url);
  options->add_flag("-j,--json", json, "Print JSON");
  auto* make = options->add_subcommand("create", "Make a key and print it, once");
  make->add_option("name", wanted.name, "What it is for")->required();
  make->add_option("--email", wanted.email, "Whose it is; a user of this address is made when there is none")
      ->required();
  make->add_option("--role", wanted.role, "Of the user: user, or admin, who sees and may do everything")
      ->check(CLI::IsMember({"user", "admin"}))
      ->capture_default_str();
  make->add_option("--task", wanted.tasks, "A task that it may send by name; * is any. Several may be given")
      ->allow_extra_args(false);
  make->add_option("--expires", wanted.expires, "When it ends")->type_name("ISO8601");
  make->add_option("--rate-limit", wanted.rate_limit, "Requests an hour")
      ->check(CLI::Range(1, 1000000000))
      ->capture_default_str();
  make->add_option("--address", wanted.addresses,
                   "Only from this address or network (10.0.0.0/8). Several may be given")
      ->allow_extra_args(false);
  const auto* ls = options->add_subcommand("ls", "List all keys");
  auto* end = options->add_subcommand("revoke", "End a key");
  end->add_option("key", which, "Its id or prefix, from celeriac api-key ls")->required();
  options->require_subcommand(1);
  options->fallthrough();
  for (auto* subcommand : options->get_subcommands({})) subcommand->fallthrough();
  if (const auto code = read_command(context, *options, args)) return *code;
  return with_database(context, *options, url, {}, [&](Database& database) {
    if (make->parsed()) return create(context, database, wanted, json);
    return ls->parsed() ? list(context, database, json) : revoke(context, database, which, json);
  });
}

}  // namespace celeriac
