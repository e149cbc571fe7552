#include "cli/dev/postgres_server.hpp"

#include "cli/dev/programs.hpp"
#include "cli/dev/redis_server.hpp"

#include <libpq-fe.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

namespace celeriac::dev {
namespace {

namespace fs = std::filesystem;
using User = std::optional<std::pair<uid_t, gid_t>>;

struct CloseConnection {
  void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
};
struct ClearResult {
  void operator()(PGresult* result) const noexcept { PQclear(result); }
};

std::string connection_text(std::uint16_t port, const std::string& password, const char* database) {
  return "host=127.0.0.1 port=" + std::to_string(port) + " user=celeriac password=" + password +
         " connect_timeout=5 dbname=" + database;
}

// A folder that PostgreSQL's user owns; it can do nothing else in ours.
Expected<void> make_folder(const std::string& path, const User& user) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return unexpected(path + ": " + error.message());
  if (chmod(path.c_str(), 0700) != 0 || (user && chown(path.c_str(), user->first, user->second) != 0))
    return unexpected(path + ": " + std::strerror(errno));
  return {};
}

// As root we start PostgreSQL as another user, who must be able to walk to its data.
Expected<void> check_reachable(const std::string& path) {
  for (auto at = fs::path(path); at != at.root_path(); at = at.parent_path()) {
    struct stat info {};
    if (stat(at.c_str(), &info) != 0) return unexpected(at.string() + ": " + std::strerror(errno));
    if ((info.st_mode & S_IXOTH) == 0)
      return unexpected("user 'postgres', as whom PostgreSQL runs when you are root, cannot enter " +
                        at.string() + "; choose a folder elsewhere with --dir, or run this as another user");
  }
  return {};
}

Expected<void> initialize(const Folder& folder, Supervisor& supervisor, const User& user,
                          const std::string& data, const std::string& password) {
  auto bin = find_postgres_programs("");
  if (!bin) return tl::unexpected(bin.error());
  // Made beside and renamed, so that an interrupted first start leaves nothing half-made in place.
  auto draft = data + ".new", password_file = folder.run() + "/pg/password";
  std::error_code error;
  fs::remove_all(draft, error);
  if (auto made = make_folder(draft, user); !made) return made;
  std::ofstream(password_file) << password << "\n";
  if (chmod(password_file.c_str(), 0600) != 0 ||
      (user && chown(password_file.c_str(), user->first, user->second) != 0))
    return unexpected(password_file + ": " + std::strerror(errno));
  supervisor.say("creating a PostgreSQL cluster in " + data);
  ChildOptions initdb;
  initdb.name = "initdb";
  initdb.command = {*bin + "/initdb",       "--pgdata=" + draft,         "--username=celeriac",
                    "--auth=scram-sha-256", "--pwfile=" + password_file, "--encoding=UTF8",
                    "--locale=C.UTF-8"};
  initdb.directory = draft;
  initdb.user = user;
  auto done = supervisor.run(initdb);
  unlink(password_file.c_str());
  if (!done) return done;
  fs::rename(draft, data, error);
  if (error) return unexpected(data + ": " + error.message());
  return {};
}

}  // namespace

Expected<Supervisor::Service> postgres_service(const Folder& folder, Supervisor& supervisor,
                                               std::uint16_t port, const std::string& password) {
  auto user = postgres_user();
  if (!user) return tl::unexpected(user.error());
  if (*user)
    if (auto reachable = check_reachable(folder.path()); !reachable) return tl::unexpected(reachable.error());
  auto data = folder.file("postgres"), sockets = folder.run() + "/pg";
  if (auto made = make_folder(sockets, *user); !made) return tl::unexpected(made.error());
  std::error_code error;
  if (!fs::exists(data + "/PG_VERSION", error))
    if (auto done = initialize(folder, supervisor, *user, data, password); !done)
      return tl::unexpected(done.error());
  std::string major;
  std::ifstream(data + "/PG_VERSION") >> major;
  auto bin = find_postgres_programs(major);
  if (!bin) return tl::unexpected(bin.error());
  if (auto gone = wait_for_previous(data + "/postmaster.pid", data); !gone)
    return tl::unexpected(gone.error());

  Supervisor::Service service;
  service.child.name = "postgres";
  service.child.command = {*bin + "/postgres",
                           "-D",
                           data,
                           "-h",
                           "127.0.0.1",
                           "-p",
                           std::to_string(port),
                           "-k",
                           sockets,
                           "-c",
                           "log_min_messages=warning",
                           "-c",
                           "log_line_prefix="};
  service.child.directory = data;
  service.child.user = *user;
  service.child.signal_when_we_die = SIGINT;  // fast shutdown: no recovery at the next start
  service.stop_signal = SIGINT;
  service.patience = std::chrono::seconds(30);
  // The server itself writes how far it is; asking over a connection would fill its log with refusals.
  service.ready = [&supervisor, file = data + "/postmaster.pid"](const std::string&) {
    std::ifstream status(file);
    std::string line, first, last;
    for (bool at_first = true; std::getline(status, line); at_first = false) {
      if (at_first) first = line;
      last = line;
    }
    return first == std::to_string(supervisor.pid_of("postgres")) && last.rfind("ready", 0) == 0;
  };
  return service;
}

Expected<void> create_database(std::uint16_t port, const std::string& password) {
  std::unique_ptr<PGconn, CloseConnection> connection(
      PQconnectdb(connection_text(port, password, "postgres").c_str()));
  if (PQstatus(connection.get()) != CONNECTION_OK)
    return unexpected(std::string("PostgreSQL: ") + PQerrorMessage(connection.get()));
  std::unique_ptr<PGresult, ClearResult> found(
      PQexec(connection.get(), "SELECT 1 FROM pg_database WHERE datname = 'celeriac'"));
  if (PQresultStatus(found.get()) == PGRES_TUPLES_OK && PQntuples(found.get()) == 1) return {};
  std::unique_ptr<PGresult, ClearResult> made(PQexec(connection.get(), "CREATE DATABASE celeriac"));
  if (PQresultStatus(made.get()) != PGRES_COMMAND_OK)
    return unexpected(std::string("PostgreSQL: ") + PQerrorMessage(connection.get()));
  return {};
}

std::string database_url(std::uint16_t port, const std::string& password, const std::string& scheme) {
  return scheme + "://celeriac:" + password + "@127.0.0.1:" + std::to_string(port) + "/celeriac";
}

}  // namespace celeriac::dev
