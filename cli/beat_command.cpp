#include "cli/beat_command.hpp"

#include "cli/application.hpp"
#include "cli/command_line.hpp"
#include "cli/remote_command.hpp"
#include "cli/session.hpp"
#include "cli/table.hpp"
#include "protocol/time.hpp"
#include "queues/tick_ledger.hpp"
#include "worker/beat/entry.hpp"
#include "worker/beat/run_beat.hpp"

#include <boost/asio/steady_timer.hpp>
#include <cmath>
#include <ostream>

namespace celeriac {
namespace {

// Every record, without adding any.
Expected<TickRecords> read_records(const Settings& settings) {
  boost::asio::io_context io{1};
  auto ledger = make_tick_ledger(io, settings);
  if (!ledger) return tl::unexpected(ledger.error());
  std::optional<Expected<TickRecords>> answer;
  std::string trouble = "no answer in time";
  const auto finish = [&](Expected<TickRecords> records) {
    if (answer) return;
    answer = std::move(records);
    (*ledger)->stop([&io] { io.stop(); });
  };
  (*ledger)->start([&](BrokerState state, const std::string& what) {
    if (!what.empty()) trouble = what;
    if (state == BrokerState::failed) finish(unexpected(what));
  });
  (*ledger)->read(finish);
  io.run_for(std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::duration<double>(settings.broker_connection_timeout + 1)));
  if (!answer) return unexpected((*ledger)->display() + ": " + trouble);
  return std::move(*answer);
}

int list_entries(CommandContext& context, const Settings& settings, bool json) {
  const auto fail = [&](const Error& error, int code) {
    context.err << "Error: " << error.what << "\n";
    return code;
  };
  const auto app = application(settings);
  auto entries = read_beat_schedule(settings, app);
  if (!entries) return fail(entries.error(), exit_code::usage);
  auto zone = Zone::find(settings.timezone);
  if (!zone) return fail(zone.error(), exit_code::usage);
  auto records = read_records(settings);
  if (!records) return fail(records.error(), exit_code::unavailable);
  const double now = unix_now();
  Json list = Json::array();
  Table table({{"NAME"},
               {"TASK"},
               {"QUEUE"},
               {"SCHEDULE"},
               {"LAST RUN"},
               {"NEXT RUN"},
               {"RUNS", Table::Align::right}});
  for (const BeatEntry& entry : *entries) {
    const auto found = records->find(entry.name());
    const TickRecord record = found == records->end() ? TickRecord{now, 0, {}} : found->second;
    const double next = entry.schedule().next(record.last_run_at, *zone);
    const bool ran = record.total_run_count > 0, comes = std::isfinite(next);
    list.push_back({{"name", entry.name()},
                    {"task", entry.task()},
                    {"queue", entry.queue()},
                    {"schedule", entry.schedule().text()},
                    {"last_run_at", ran ? Json(format_iso8601(record.last_run_at)) : Json(nullptr)},
                    {"next_run_at", comes ? Json(format_iso8601(next)) : Json(nullptr)},
                    {"total_run_count", record.total_run_count},
                    {"by", ran ? Json(record.by) : Json(nullptr)}});
    table.add({entry.name(), entry.task(), entry.queue(), entry.schedule().text(),
               ran ? zone->text(record.last_run_at) : "-",
               comes ? next <= now ? "now" : zone->text(next) : "never",
               std::to_string(record.total_run_count)});
  }
  if (json) {
    context.out << dump_json(list) << "\n";
  } else if (entries->empty()) {
    context.out << "beat_schedule has no entries. Add one to the settings file, such as\n\n"
                   "  [beat_schedule.nightly]\n  task = \"reports.nightly\"\n  schedule = \"0 4 * * *\"\n";
  } else {
    context.out << table.text(terminal_width(), use_color(context.globals.no_color));
  }
  return exit_code::ok;
}

}  // namespace

int beat_command(CommandContext& context, const Arguments& args) {
  auto options = command_options("celeriac beat",
                                 "Sends the tasks of beat_schedule when they are due. Several may run: each "
                                 "task is sent once. `celeriac beat "
                                 "ls` shows the entries with their last and next run.");
  std::string what, scheduler, schedule;
  std::optional<double> max_interval;
  BeatOptions beat;
  bool json = false, detach = false;
  options->add_option("what", what, "ls: list the entries instead")
      ->check(CLI::IsMember({"ls"}))
      ->type_name("");
  options->add_option("-s,--schedule", schedule, "beat_schedule_filename: its name in Redis, or its file")
      ->envname("CELERY_BEAT_SCHEDULE_FILENAME");
  options->add_option("-S,--scheduler", scheduler)->group("");  // Celery's; there is one scheduler
  options->add_option("--max-interval", max_interval, "at most this long between two looks at the schedule")
      ->check(CLI::PositiveNumber)
      ->type_name("SECONDS");
  options->add_option("-l,--loglevel", beat.loglevel, "DEBUG, INFO, WARNING, ERROR, CRITICAL or FATAL")
      ->transform(CLI::IsMember({"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "FATAL"}, CLI::ignore_case))
      ->type_name("LEVEL")
      ->capture_default_str();
  options->add_option("-f,--logfile", beat.logfile, "log here instead of stderr");
  options->add_option("--pidfile", beat.pidfile,
                      "written at start; refused when it names a living process (73)");
  options->add_flag("--detach", detach)->group("");
  options->add_flag("-j,--json", json, "with ls: print JSON");
  if (auto code = read_command(context, *options, args)) return *code;
  if (detach) {
    return refuse_usage(context, *options, "--detach is not supported: let a service manager keep the beat");
  }
  if (!scheduler.empty()) {
    context.err << "Warning: option --scheduler has no effect: the broker decides where the schedule's state "
                   "is kept\n";
  }
  auto settings = load_command_settings(context);
  if (!settings) return exit_code::usage;
  if (!schedule.empty()) settings->beat_schedule_filename = schedule;
  if (max_interval) settings->beat_max_loop_interval = *max_interval;
  if (what == "ls") return list_entries(context, *settings, json);
  beat.quiet = context.globals.quiet;
  beat.no_color = context.globals.no_color;
  return run_beat(application(*settings), *settings, beat);
}

}  // namespace celeriac
