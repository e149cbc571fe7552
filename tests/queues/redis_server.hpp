// A private redis-server for a test: its own directory, Unix socket and free port, ended with the
// object. Other tests may use it too; link celeriac_test_redis.
#pragma once

#include <sys/types.h>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace celeriac::testing {

class RedisServer {
 public:
  // `arguments` go to redis-server as they are: {"--appendonly", "yes"}. "{dir}" in them stands
  // for the server's directory. Throws std::runtime_error when the server does not come up.
  explicit RedisServer(std::vector<std::string> arguments = {});
  ~RedisServer();
  // The same program as a Redis Sentinel that watches nothing yet.
  static std::unique_ptr<RedisServer> sentinel(std::vector<std::string> arguments = {});
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  std::string url(int db = 0) const;         // redis://127.0.0.1:<port>/<db>
  std::string socket_url(int db = 0) const;  // redis+socket://<path>?virtual_host=<db>
  const std::string& socket_path() const { return socket_; }
  const std::string& directory() const { return directory_; }
  std::uint16_t port() const { return port_; }

  // One command over its own connection, blocking. Arrays come back flattened, nil as "(nil)",
  // integers as digits, errors as "ERR ...".
  std::vector<std::string> run(std::initializer_list<std::string_view> command) const;
  std::string one(std::initializer_list<std::string_view> command) const;  // the first of run()
  long long number(std::initializer_list<std::string_view> command) const;

  void freeze();  // SIGSTOP
  void thaw();
  void kill();                                         // SIGKILL, and waits for the end
  void start();                                        // again, on the same port and directory
  void login(std::string user, std::string password);  // for run()

 private:
  RedisServer(std::vector<std::string> arguments, bool sentinel);
  void wait_until_ready();

  bool sentinel_ = false;
  std::vector<std::string> arguments_;
  std::string directory_, socket_, user_, password_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace celeriac::testing
