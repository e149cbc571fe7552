#include "cli/dev/redis_server.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

namespace celeriac::dev {
namespace {

// Redis answers PING with -LOADING while it reads its data.
bool answers_ping(const std::string& socket_path) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  timeval limit{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socket_path.c_str(), sizeof address.sun_path - 1);
  char reply[7] = {};
  bool up = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
            write(fd, "PING\r\n", 6) == 6 && read(fd, reply, sizeof reply) >= 5 &&
            std::strncmp(reply, "+PONG", 5) == 0;
  close(fd);
  return up;
}

}  // namespace

Expected<void> wait_for_previous(const std::string& pid_file, const std::string& directory) {
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  for (;;) {
    pid_t pid = 0;
    std::ifstream(pid_file) >> pid;
    std::error_code error;
    auto where = pid > 0 ? std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/cwd", error) : "";
    if (pid <= 0 || error || where != directory) return {};
    if (std::chrono::steady_clock::now() > deadline)
      return unexpected("process " + std::to_string(pid) + " of an earlier run still uses " + directory);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

Expected<Supervisor::Service> redis_service(const Folder& folder, const std::string& program,
                                            std::uint16_t port) {
  auto data = folder.file("redis"), socket_path = folder.run() + "/redis.sock",
       pid_file = data + "/redis.pid";
  std::error_code error;
  std::filesystem::create_directories(data, error);
  if (error) return unexpected(data + ": " + error.message());
  if (auto gone = wait_for_previous(pid_file, data); !gone) return tl::unexpected(gone.error());

  Supervisor::Service service;
  service.child.name = "redis";
  service.child.command = {program,
                           "--bind",
                           "127.0.0.1",
                           "--port",
                           std::to_string(port),
                           "--unixsocket",
                           socket_path,
                           "--unixsocketperm",
                           "700",
                           "--dir",
                           data,
                           "--appendonly",
                           "yes",
                           "--save",
                           "",
                           "--daemonize",
                           "no",
                           "--loglevel",
                           "warning",
                           "--pidfile",
                           pid_file};
  service.child.directory = data;
  service.stop_signal = SIGTERM;
  service.patience = std::chrono::seconds(15);
  service.ready = [socket_path](const std::string&) { return answers_ping(socket_path); };
  return service;
}

}  // namespace celeriac::dev
