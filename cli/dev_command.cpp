#include "cli/dev_command.hpp"

#include "cli/application.hpp"
#include "cli/command_line.hpp"
#include "cli/dev/folder.hpp"
#include "cli/dev/ports.hpp"
#include "cli/dev/postgres_server.hpp"
#include "cli/dev/programs.hpp"
#include "cli/dev/redis_server.hpp"
#include "cli/dev/supervisor.hpp"
#include "cli/table.hpp"
#include "config/settings.hpp"
#if CELERIAC_TASKS
#include "tasks/store/migrate.hpp"
#endif

#include <unistd.h>
#include <filesystem>
#include <ostream>

namespace celeriac {
namespace {

struct Options {
  std::string folder = ".celeriac", loglevel = "INFO";
  std::optional<std::uint16_t> redis_port, postgres_port;
  std::optional<int> concurrency;
  std::vector<std::string> worker_arguments;
};

struct Addresses {
  std::string broker, results, database, storage;
};

// The application's queues, those without tasks in this version included, so that nothing sent waits unseen.
std::string all_queues(const App& app) {
  auto queues = known_queues(app, Settings{});
  queues.insert({"invoice_processing", "validation", "export", "email_processing", "llm_processing"});
  std::string out;
  for (const auto& queue : queues) out += (out.empty() ? "" : ",") + queue;
  return out;
}

Expected<void> prepare_database([[maybe_unused]] dev::Supervisor& supervisor, std::uint16_t port,
                                const std::string& password, [[maybe_unused]] const std::string& url) {
  if (auto made = dev::create_database(port, password); !made) return made;
#if CELERIAC_TASKS
  try {
    Database database(url);
    for (const auto& name : migrate(database, invoice_migrations()))
      supervisor.say("applied migration " + name);
  } catch (const std::exception& error) {
    return unexpected(std::string("migrating the schema: ") + error.what());
  }
#endif
  return {};
}

dev::Supervisor::Service worker_service(const Options& options, const Addresses& at, const App& app,
                                        bool color) {
  dev::Supervisor::Service service;
  service.child.name = "worker";
  // The command line beats the environment the user may have set for another broker.
  service.child.command = {"/proc/self/exe", "--broker", at.broker, "--result-backend", at.results};
  if (!color) service.child.command.push_back("--no-color");
  for (const auto& word :
       {std::string("worker"), std::string("-Q"), all_queues(app), std::string("-l"), options.loglevel})
    service.child.command.push_back(word);
  if (options.concurrency) {
    service.child.command.push_back("-c");
    service.child.command.push_back(std::to_string(*options.concurrency));
  }
  for (const auto& word : options.worker_arguments) service.child.command.push_back(word);
  service.child.environment = {{"CELERY_DATABASE_URL", at.database}, {"CELERY_STORAGE_ROOT", at.storage}};
  // Without its servers it could end nothing in order; what it holds is safe in Redis.
  service.child.signal_when_we_die = SIGKILL;
  service.ready = [](const std::string& line) {
    return line.size() > 7 && line.compare(line.size() - 7, 7, " ready.") == 0;
  };
  return service;
}

std::string guide(const Addresses& at, const std::string& folder) {
  return "\nReady.\n\n"
         "  broker URL     " +
         at.broker +
         "\n"
         "  result URL     " +
         at.results.substr(0, at.results.find(',')) +
         "\n"
         "  database URL   " +
         at.database +
         "\n"
         "  addresses in   " +
         folder +
         "/dev.json\n\n"
         "From Python (pip install 'celery[redis]'):\n\n"
         "  from celery import Celery\n"
         "  app = Celery(broker=\"" +
         at.broker + "\", backend=\"" + at.results.substr(0, at.results.find(',')) +
         "\")\n"
         "  task = app.send_task(\"invoice_processing.process_document\", [\"/path/to/invoice.pdf\", {}],\n"
         "                       queue=\"invoice_processing\")\n"
         "  print(task.get(timeout=60))\n\n"
         "From a shell:\n\n"
         "  celeriac -b " +
         at.broker +
         " queues\n"
         "  celeriac db --database " +
         at.database +
         " status\n\n"
         "Ctrl-C ends everything; the data stays in " +
         folder + ".\n";
}

// Starts all of it; the Error is what stopped it.
Expected<Addresses> bring_up(dev::Supervisor& supervisor, const dev::Folder& folder, const Options& options,
                             const App& app, bool color) {
  auto redis_program = dev::find_redis_server();
  if (!redis_program) return tl::unexpected(redis_program.error());
  if (auto programs = dev::find_postgres_programs(""); !programs) return tl::unexpected(programs.error());
  auto password = folder.password();
  if (!password) return tl::unexpected(password.error());

  // Servers of an earlier run may still hold their ports: the services wait for those, so they come first.
  auto redis_data = folder.file("redis"), postgres_data = folder.file("postgres");
  if (auto gone = dev::wait_for_previous(redis_data + "/redis.pid", redis_data); !gone)
    return tl::unexpected(gone.error());
  if (auto gone = dev::wait_for_previous(postgres_data + "/postmaster.pid", postgres_data); !gone)
    return tl::unexpected(gone.error());
  auto last = folder.last_ports();
  auto redis_port = dev::choose_port(options.redis_port, last.redis);
  if (!redis_port) return tl::unexpected(redis_port.error());
  auto postgres_port = dev::choose_port(options.postgres_port, last.postgres);
  if (!postgres_port) return tl::unexpected(postgres_port.error());
  if (auto kept = folder.remember({*redis_port, *postgres_port}); !kept) return tl::unexpected(kept.error());

  auto redis = dev::redis_service(folder, *redis_program, *redis_port);
  if (!redis) return tl::unexpected(redis.error());
  if (auto up = supervisor.start(std::move(*redis)); !up) return tl::unexpected(up.error());
  auto postgres = dev::postgres_service(folder, supervisor, *postgres_port, *password);
  if (!postgres) return tl::unexpected(postgres.error());
  if (auto up = supervisor.start(std::move(*postgres)); !up) return tl::unexpected(up.error());

  Addresses at;
  at.broker = "redis://127.0.0.1:" + std::to_string(*redis_port) + "/0";
  at.database = dev::database_url(*postgres_port, *password, "postgresql");
  at.results = at.broker + "," + dev::database_url(*postgres_port, *password, "db+postgresql");
  at.storage = folder.file("storage");
  std::error_code error;
  std::filesystem::create_directories(at.storage, error);
  if (error) return unexpected(at.storage + ": " + error.message());
  if (auto done = prepare_database(supervisor, *postgres_port, *password, at.database); !done)
    return tl::unexpected(done.error());
  if (auto up = supervisor.start(worker_service(options, at, app, color)); !up)
    return tl::unexpected(up.error());

  Json document = Json::object();
  document["broker_url"] = at.broker;
  document["result_backend"] = at.results.substr(0, at.results.find(','));
  document["database_url"] = at.database;
  document["database_result_backend"] = at.results.substr(at.results.find(',') + 1);
  document["storage_root"] = at.storage;
  document["redis_socket"] = folder.run() + "/redis.sock";
  document["postgres_socket_directory"] = folder.run() + "/pg";
  document["pid"] = getpid();
  for (const char* name : {"redis", "postgres", "worker"})
    document[std::string(name) + "_pid"] = supervisor.pid_of(name);
  if (auto done = folder.publish(document); !done) return tl::unexpected(done.error());
  return at;
}

}  // namespace

int dev_command(CommandContext& context, const Arguments& args) {
  auto options =
      command_options("celeriac dev",
                      "Starts a private Redis, a private PostgreSQL and a worker, all in the foreground, "
                      "with their data in one folder.");
  Options given;
  options->add_option("--dir", given.folder, "folder of data and sockets")
      ->capture_default_str()
      ->type_name("DIR");
  options->add_option("--port-redis", given.redis_port, "default: as last time, or a free one")
      ->check(CLI::Range(1, 65535))
      ->type_name("PORT");
  options->add_option("--port-postgres", given.postgres_port, "default: as last time, or a free one")
      ->check(CLI::Range(1, 65535))
      ->type_name("PORT");
  options->add_option("-c,--concurrency", given.concurrency, "of the worker; default: number of CPUs")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  options->add_option("-l,--loglevel", given.loglevel, "of the worker: INFO or DEBUG")
      ->transform(CLI::IsMember({"INFO", "DEBUG"}, CLI::ignore_case))
      ->capture_default_str()
      ->type_name("LEVEL");
  options->add_option("worker", given.worker_arguments, "after --: more arguments for the worker")
      ->type_name("");
  if (auto code = read_command(context, *options, args)) return *code;

  bool busy = false;
  auto folder = dev::Folder::open(given.folder, busy);
  if (!folder) {
    context.err << "Error: " << folder.error().what << "\n";
    return busy ? exit_code::cannot_create : exit_code::failure;
  }
  bool color = use_color(context.globals.no_color);
  dev::Supervisor supervisor(context.out, color);
  auto at = bring_up(supervisor, *folder, given, context.app, color);
  bool asked_to_end = supervisor.interrupted();
  if (at) {
    supervisor.say(guide(*at, folder->path()));
    asked_to_end = supervisor.supervise();
  } else if (!asked_to_end) {
    context.err << "Error: " << at.error().what << "\n";
  }
  supervisor.say("stopping");
  supervisor.stop();
  return asked_to_end ? exit_code::ok : exit_code::failure;
}

}  // namespace celeriac
