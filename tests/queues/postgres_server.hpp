// A private PostgreSQL server for tests: data in a temporary folder, a unix socket and a loopback port of
// its own, durable as in production (fsync on) unless told otherwise. PostgreSQL refuses to run as root, so
// then it runs as the system's "postgres" user. Ended, and its folder removed, by the destructor.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace celeriac::testing {

class PostgresServer {
 public:
  // Settings like "synchronous_commit=off". Throws std::runtime_error when it does not come up.
  explicit PostgresServer(std::vector<std::string> settings = {});
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  static bool available();  // the server's programs are installed

  int port() const;
  const std::string& socket_folder() const;
  // "<scheme>://postgres@127.0.0.1:<port>/<database>"
  std::string url(const std::string& scheme = "db+postgresql",
                  const std::string& database = "postgres") const;
  std::string socket_url(const std::string& scheme = "db+postgresql") const;

  // Runs SQL with psql and returns its unaligned output, values separated by '|'. Throws on an error.
  std::string sql(const std::string& statement) const;

  void stop();     // at once, as in a crash
  void restart();  // on the same port and data

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace celeriac::testing
