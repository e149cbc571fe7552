#include "config/worker_command.hpp"

#include "config/load.hpp"
#include "config/settings_table.hpp"
#include "config/usage.hpp"
#include "config/version.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <charconv>
#include <utility>

namespace celeriac {
namespace {

struct Foreign {
  std::string_view option;
  std::string_view why;
};

// Options of Celery's worker that cannot mean anything here. The first kind is accepted, so that a command
// line can be taken over as it is; the second would change what the user relies on, so it is refused.
constexpr Foreign ignored[] = {
    {"-A,--app", "tasks are compiled into this executable"},
    {"--loader", "tasks are compiled into this executable"},
    {"-I,--include", "tasks are compiled into this executable"},
    {"--executable", "slots are this executable"},
    {"--scheduler", "there is one scheduler; the broker decides where it keeps its state"},
};
constexpr Foreign refused[] = {
    {"--uid", "start the worker as the user it shall run as"},
    {"--gid", "start the worker as the group it shall run as"},
    {"--umask", "start the worker with the umask it shall have"},
    {"--workdir", "start the worker in the directory it shall work in"},
};
constexpr Foreign refused_flags[] = {
    {"-D,--detach", "this worker stays in the foreground; let a service manager keep it"},
};

// The long name of "-c,--concurrency": "--concurrency".
std::string long_name(std::string_view option) {
  auto at = option.find("--");
  auto end = std::min(option.find(',', at), option.size());
  return std::string(option.substr(at, end - at));
}

std::string environment_of(std::string_view option) {
  std::string out = "CELERY_WORKER_";
  for (char c : long_name(option).substr(2))
    out += c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}

struct Line {
  WorkerOptions options;
  SettingSources sources;
  std::vector<std::string> assignments, warnings;
  std::string refusal, autoscale, app;
};

void add_settings(CLI::App& app, Line& line) {
  for (const auto& info : settings_table()) {
    if (info.option.empty()) continue;
    std::string name(info.name), source = long_name(info.option), meaning(info.meaning);
    CLI::Option* option = nullptr;
    if (info.kind == SettingKind::boolean) {
      option = app.add_flag_function(
          std::string(info.option),
          [&line, name, source](std::int64_t count) {
            line.sources.command_line.push_back({name, count > 0 ? "true" : "false", source});
          },
          meaning);
    } else {
      option = app.add_option_function<std::string>(
                      std::string(info.option),
                      [&line, name, source](const std::string& text) {
                        line.sources.command_line.push_back({name, text, source});
                      },
                      meaning)
                   ->take_last();
      option->type_name(info.kind == SettingKind::integer   ? "N"
                        : info.kind == SettingKind::seconds ? "SECONDS"
                        : info.choices.empty()              ? "TEXT"
                                                            : std::string(info.choices));
    }
    if (auto variable = environment_of(info.option); variable != info.environment())
      option->envname(variable);
  }
}

void add_list(CLI::App& app, const std::string& option, std::vector<std::string>& out,
              const std::string& meaning) {
  app.add_option(option, out, meaning)
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("A,B,...")
      ->envname(environment_of(option));
}

void add_options(CLI::App& app, Line& line) {
  auto& options = line.options;
  auto text = [&](const std::string& names, std::string& out, const std::string& meaning) {
    return app.add_option(names, out, meaning)->take_last()->envname(environment_of(names));
  };
  text("-n,--hostname", options.hostname, "name of the node; %h host, %n name, %d domain")
      ->capture_default_str();
  add_list(app, "-Q,--queues", options.queues,
           "queues to consume; default: those the tasks and settings name");
  add_list(app, "-X,--exclude-queues", options.exclude_queues, "of these, not to consume");
  text("-l,--loglevel", options.loglevel, "DEBUG, INFO, WARNING, ERROR, CRITICAL or FATAL")
      ->transform(CLI::IsMember({"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "FATAL"}, CLI::ignore_case))
      ->type_name("LEVEL")
      ->capture_default_str();
  text("-f,--logfile", options.logfile, "log here instead of stderr");
  text("--pidfile", options.pidfile,
       "written at start; refused when it names a living process (exit code 73)");
  text("-O,--optimization", options.optimization, "default: a job may wait inside a busy slot; fair: never")
      ->check(CLI::IsMember({"default", "fair"}))
      ->type_name("NAME")
      ->capture_default_str();
  text("--autoscale", line.autoscale, "slots grow and shrink with the work")->type_name("MAX,MIN");
  app.add_flag("-B,--beat", options.beat, "send the tasks of beat_schedule, too; several workers may");
  app.add_flag("--purge,--discard", options.purge, "empty the queues at start");
  app.add_flag("--without-gossip", options.without_gossip, "do not listen to other workers");
  app.add_flag("--without-mingle", options.without_mingle,
               "do not ask other workers for revoked ids at start");
  app.add_flag("--without-heartbeat", options.without_heartbeat, "send no worker-heartbeat events");
  app.add_option("--heartbeat-interval", options.heartbeat_interval, "between worker-heartbeat events")
      ->check(CLI::PositiveNumber)
      ->type_name("SECONDS")
      ->capture_default_str();
}

void add_foreign(CLI::App& app, Line& line) {
  auto names = [](const Foreign& foreign) { return std::string(foreign.option); };
  for (const auto& foreign : ignored)
    app.add_option_function<std::string>(
           names(foreign),
           [&line, &foreign](const std::string&) {
             line.warnings.push_back("option " + long_name(foreign.option) +
                                     " has no effect: " + std::string(foreign.why));
           })
        ->group("");
  auto refuse = [&line](const Foreign& foreign) {
    line.refusal = long_name(foreign.option) + " is not supported: " + std::string(foreign.why);
  };
  for (const auto& foreign : refused)
    app.add_option_function<std::string>(names(foreign),
                                         [refuse, &foreign](const std::string&) { refuse(foreign); })
        ->group("");
  for (const auto& foreign : refused_flags)
    app.add_flag_callback(names(foreign), [refuse, &foreign] { refuse(foreign); })->group("");
  app.add_flag("--skip-checks")->group("");
}

void add_globals(CLI::App& app, Line& line) {
  auto setting = [&](const std::string& names, const std::string& name, const std::string& meaning) {
    app.add_option_function<std::string>(
           names,
           [&line, name, source = long_name(names)](const std::string& text) {
             line.sources.command_line.push_back({name, text, source});
           },
           meaning)
        ->take_last()
        ->type_name("URL")
        ->group("Global options (before the command)");
  };
  setting("-b,--broker", "broker_url", "where messages come from");
  setting("--result-backend", "result_backend", "where results go");
  app.add_option("--config", line.sources.file,
                 "TOML file of settings; default: $CELERIAC_CONFIG or ./celeriac.toml")
      ->take_last()
      ->type_name("FILE")
      ->group("Global options (before the command)");
  app.add_flag("-q,--quiet", line.options.quiet, "no banner")->group("Global options (before the command)");
  app.add_flag("-C,--no-color", line.options.no_color, "no colour")
      ->group("Global options (before the command)");
}

// "10,3" or "10".
bool read_autoscale(const std::string& text, WorkerOptions& options) {
  auto number = [](std::string_view part) -> std::optional<int> {
    int value = 0;
    auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc{} || end != part.data() + part.size() || value < 0) return std::nullopt;
    return value;
  };
  auto comma = text.find(',');
  auto max = number(std::string_view(text).substr(0, comma));
  auto min =
      comma == std::string::npos ? std::optional<int>(0) : number(std::string_view(text).substr(comma + 1));
  if (!max || !min) return false;
  if (*min > *max) std::swap(max, min);  // either order, as in Celery
  if (*max < 1) return false;
  options.autoscale_max = max;
  options.autoscale_min = min;
  return true;
}

}  // namespace

tl::expected<WorkerCommand, CommandLineExit> parse_worker_command(int argc, char** argv) {
  CLI::App app("Runs tasks from the broker's queues until it is told to stop.", "celeriac worker");
  app.get_formatter()->column_width(34);
  app.set_version_flag("--version", "celeriac " + std::string(version()));
  Line line;
  add_options(app, line);
  add_settings(app, line);
  add_foreign(app, line);
  add_globals(app, line);
  app.add_option("settings", line.assignments, "more settings, as name=value")->type_name("");

  auto fail = [&](std::string what) { return tl::unexpected(usage_error(app, std::move(what))); };
  if (auto exit = read_arguments(app, {argv + std::min(argc, 1), argv + argc}))
    return tl::unexpected(std::move(*exit));
  if (!line.refusal.empty()) return fail(line.refusal);
  if (!line.autoscale.empty() && !read_autoscale(line.autoscale, line.options))
    return fail("--autoscale expects MAX,MIN with MAX 1 or more, not \"" + line.autoscale + "\"");
  for (const auto& text : line.assignments) {
    auto assignment = read_assignment(text);
    if (!assignment) return fail(assignment.error().what);
    line.sources.command_line.push_back(std::move(*assignment));
  }
  line.sources.environment = process_environment();
  auto loaded = load_settings(line.sources);
  if (!loaded) return tl::unexpected(CommandLineExit{2, "Error: " + loaded.error().what + "\n", true});

  if (line.options.loglevel == "FATAL") line.options.loglevel = "CRITICAL";
  WorkerCommand command{std::move(loaded->settings), std::move(line.options), std::move(loaded->warnings)};
  command.warnings.insert(command.warnings.begin(), line.warnings.begin(), line.warnings.end());
  return command;
}

}  // namespace celeriac
