#include "worker/beat/run_beat.hpp"

#include "config/version.hpp"
#include "worker/beat/beat.hpp"
#include "worker/logging.hpp"
#include "worker/node_name.hpp"
#include "worker/pidfile.hpp"
#include "worker/service_manager.hpp"

#include <fmt/format.h>
#include <unistd.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <functional>
#include <optional>

#include <csignal>
#include <cstdio>

namespace celeriac {
namespace {

constexpr int exit_ok = 0, exit_failure = 1, exit_usage = 2, exit_cannot_create = 73;

int fail(const std::string& what, int code) {
  std::fprintf(stderr, "%s: %s\n", code == exit_cannot_create ? "ERROR" : "Error", what.c_str());
  return code;
}

void show_banner(const Beat& beat, const Settings& settings, const BeatOptions& options) {
  const std::string text = fmt::format(
      "celeriac beat v{} is starting.\nConfiguration ->\n    . schedule -> {}\n    . entries -> {}\n    . "
      "timezone -> "
      "{}\n    . logfile -> {}@%{}\n    . maxinterval -> {:.2f} seconds\n",
      version(), beat.ledger(), settings.beat_schedule.size(), settings.timezone,
      options.logfile.empty() ? "[stderr]" : options.logfile, options.loglevel, beat.max_interval());
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

}  // namespace

int run_beat(const App& app, const Settings& settings, const BeatOptions& options) {
  const std::string node = "beat@" + host_name();
  WorkerOptions logging;
  logging.loglevel = options.loglevel;
  logging.no_color = options.no_color;
  if (auto started = start_logging(settings, logging, expand_path(options.logfile, node)); !started) {
    return fail(started.error().what, exit_usage);
  }
  std::optional<Pidfile> pidfile;
  if (!options.pidfile.empty()) {
    auto created = Pidfile::create(expand_path(options.pidfile, node));
    if (!created) return fail(created.error().what, exit_cannot_create);
    pidfile.emplace(std::move(*created));
  }
  std::signal(SIGPIPE, SIG_IGN);
  boost::asio::io_context io{1};
  // The pid tells two beats of one host apart.
  auto beat = Beat::create(io, settings, app, fmt::format("{}/{}", node, ::getpid()));
  if (!beat) return fail(beat.error().what, exit_usage);
  if (!options.quiet) show_banner(**beat, settings, options);
  if (settings.beat_schedule.empty())
    log(LogLevel::warning, "beat: beat_schedule has no entries; nothing will be sent");
  log(LogLevel::info, "beat: Starting...");

  int code = exit_ok;
  boost::asio::signal_set signals(io, SIGTERM, SIGINT, SIGHUP);
  const auto leave = [&] {
    notify_service_manager("STOPPING=1");
    signals.cancel();
    (*beat)->stop([&io] { io.stop(); });
  };
  std::function<void()> wait = [&] {
    signals.async_wait([&](const boost::system::error_code& error, int number) {
      if (error) return;
      if (number == SIGHUP) {
        reopen_log();
        return wait();
      }
      leave();
    });
  };
  wait();
  (*beat)->start([&](const std::string& why) {
    log(LogLevel::critical, "beat: " + why);
    code = exit_failure;
    leave();
  });
  notify_service_manager("READY=1");
  io.run();
  return code;
}

}  // namespace celeriac
