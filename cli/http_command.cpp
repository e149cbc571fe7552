#include "cli/http_command.hpp"

#include "cli/command_line.hpp"
#include "cli/session.hpp"
#include "http/front.hpp"
#include "worker/app.hpp"
#include "worker/routes.hpp"
#include "worker/service_manager.hpp"

#include <sys/resource.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <optional>
#include <ostream>

namespace celeriac {
namespace {

constexpr std::chrono::seconds stop_patience{10};

http::TaskEntry entry_of(const App::Task& task, std::string queue) {
  http::TaskEntry entry{task.name, std::move(queue), task.options.params, {}, {}};
  for (const auto& argument : task.rules.arguments)
    entry.arguments.push_back({argument.name, argument.schema, argument.required});
  if (const auto& check = task.rules.check)
    entry.check = [check](const Json& args, const Json& kwargs, http::Faults& faults) {
      for (const auto& fault : check(args, kwargs)) faults.add(fault.pointer, fault.what);
    };
  return entry;
}

}  // namespace

int http_command(CommandContext& context, const Arguments& args) {
  auto options = command_options(
      "celeriac http",
      "Takes tasks over HTTP and tells what became of them. Needs PostgreSQL (database_url, migrated with "
      "`celeriac db migrate`); callers show a JWT (http_jwt_key) or an API key.");
  std::optional<std::string> host;
  std::optional<int> port;
  options->add_option("--host", host, "address to listen on; default: http_host");
  options->add_option("--port", port, "0: any free one; default: http_port")->check(CLI::Range(0, 65535));
  if (auto code = read_command(context, *options, args)) return *code;
  auto settings = load_command_settings(context);
  if (!settings) return exit_code::usage;
  if (host) settings->http_host = *host;
  if (port) settings->http_port = *port;

  std::vector<http::TaskEntry> tasks;
  for (const auto* task : context.app.tasks())
    if (!task->name.starts_with("celery."))
      tasks.push_back(entry_of(*task, route(task->name, *settings, context.app)));
  std::signal(SIGPIPE, SIG_IGN);
  // Thousands may listen: as many descriptors as we may have.
  rlimit descriptors{};
  if (::getrlimit(RLIMIT_NOFILE, &descriptors) == 0 && descriptors.rlim_cur < descriptors.rlim_max) {
    descriptors.rlim_cur = descriptors.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &descriptors);
  }
  boost::asio::io_context io{1};
  auto front = http::Front::create(io, *settings, std::move(tasks));
  if (!front) {
    context.err << "Error: " << front.error().what << "\n";
    return exit_code::usage;
  }
  if (auto started = (*front)->start(); !started) {
    context.err << "Error: " << started.error().what << "\n";
    return exit_code::cannot_create;
  }
  context.out << "celeriac http on http://" << settings->http_host << ":" << (*front)->port() << std::endl;
  notify_service_manager("READY=1");
  boost::asio::steady_timer patience(io);
  boost::asio::signal_set signals(io, SIGTERM, SIGINT);
  signals.async_wait([&](const boost::system::error_code& error, int) {
    if (error) return;
    notify_service_manager("STOPPING=1");
    patience.expires_after(stop_patience);
    patience.async_wait([&](const boost::system::error_code& late) {
      if (!late) io.stop();
    });
    (*front)->stop([&] { io.stop(); });
  });
  io.run();
  return exit_code::ok;
}

}  // namespace celeriac
