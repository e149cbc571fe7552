#include "cli/command_line.hpp"

#include "config/nearest.hpp"
#include "config/usage.hpp"
#include "config/version.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <ostream>

namespace celeriac {
namespace {

int print(const CommandLineExit& exit, std::ostream& out, std::ostream& err) {
  (exit.to_stderr ? err : out) << exit.text;
  return exit.code;
}

std::string command_list() {
  std::string out = "Commands:\n";
  for (const auto& command : commands()) {
    std::string name(command.name);
    out += "  " + name + std::string(name.size() < 12 ? 12 - name.size() : 1, ' ') +
           std::string(command.summary) + "\n";
  }
  return out +
         "\n`celeriac COMMAND --help` tells more. Exit codes: 0 done, 1 failed, 2 wrong usage, 69 broker or "
         "store\n"
         "not reachable, 73 a pid file or folder is taken.";
}

}  // namespace

std::unique_ptr<CLI::App> command_options(const std::string& name, const std::string& description) {
  auto options =
      std::make_unique<CLI::App>(description, name.rfind("celeriac", 0) == 0 ? name : "celeriac " + name);
  options->get_formatter()->column_width(34);
  return options;
}

std::optional<int> read_command(CommandContext& context, CLI::App& options, const Arguments& args) {
  auto exit = read_arguments(options, args);
  if (!exit) return std::nullopt;
  return print(*exit, context.out, context.err);
}

int refuse_usage(CommandContext& context, const CLI::App& options, const std::string& what) {
  return print(usage_error(options, what), context.out, context.err);
}

int run_command_line(const App& app, const Arguments& args, std::ostream& out, std::ostream& err) {
  GlobalOptions globals;
  std::string python_app;
  auto options = command_options("celeriac", "Runs and looks after Celery tasks.");
  options->set_version_flag("--version", "celeriac " + std::string(version()));
  options->add_option("-b,--broker", globals.broker, "where messages come from")->type_name("URL");
  options->add_option("--result-backend", globals.result_backend, "where results go")->type_name("URL");
  options
      ->add_option("--config", globals.config,
                   "TOML file of settings; default: $CELERIAC_CONFIG or ./celeriac.toml")
      ->type_name("FILE");
  options->add_flag("-q,--quiet", globals.quiet, "less output");
  options->add_flag("-C,--no-color", globals.no_color, "no colour (also: NO_COLOR)");
  options->add_option("-A,--app", python_app)
      ->group("");  // Celery's; tasks are compiled into this executable
  options->footer(command_list());

  // The command is the first word that is no option and no option's value.
  auto takes_value = [](const std::string& arg) {
    return arg == "-b" || arg == "-A" || arg == "--broker" || arg == "--result-backend" ||
           arg == "--config" || arg == "--app";
  };
  auto at = args.begin();
  for (; at != args.end() && !at->empty() && (*at)[0] == '-'; ++at)
    if (takes_value(*at) && std::next(at) != args.end()) ++at;

  if (auto exit = read_arguments(*options, Arguments(args.begin(), at))) return print(*exit, out, err);
  if (at == args.end()) {
    err << options->help();
    return exit_code::usage;
  }
  CommandContext context{globals, app, out, err};
  std::vector<std::string_view> names;
  for (const auto& command : commands()) {
    if (command.name == *at) return command.run(context, Arguments(std::next(at), args.end()));
    names.push_back(command.name);
  }
  auto near = nearest_word(*at, names);
  return print(usage_error(*options, "no such command '" + *at + "'" +
                                         (near.empty() ? "." : "; did you mean " + std::string(near) + "?")),
               out, err);
}

}  // namespace celeriac
