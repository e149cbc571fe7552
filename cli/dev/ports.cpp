#include "cli/dev/ports.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>

namespace celeriac::dev {
namespace {

// Binds 127.0.0.1:port for a moment; 0 asks the kernel for a free one. Returns 0 when it is taken.
std::uint16_t probe(std::uint16_t port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return 0;
  int yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);  // as the servers do: TIME_WAIT is no owner
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  bool free = bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 && listen(fd, 1) == 0 &&
              getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  close(fd);
  return free ? ntohs(address.sin_port) : std::uint16_t{0};
}

}  // namespace

Expected<std::uint16_t> choose_port(std::optional<std::uint16_t> wanted, std::uint16_t last) {
  if (wanted) {
    if (probe(*wanted) != 0) return *wanted;
    return unexpected("port " + std::to_string(*wanted) + " of 127.0.0.1 is taken or not allowed");
  }
  if (last != 0 && probe(last) != 0) return last;
  if (auto port = probe(0); port != 0) return port;
  return unexpected(std::string("no free port on 127.0.0.1: ") + std::strerror(errno));
}

}  // namespace celeriac::dev
