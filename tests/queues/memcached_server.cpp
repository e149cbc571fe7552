#include "tests/queues/memcached_server.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <stdexcept>
#include <thread>
#include <vector>

extern char** environ;

namespace celeriac::testing {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

std::uint16_t free_port() {
  asio::io_context io;
  return tcp::acceptor(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0)).local_endpoint().port();
}

}  // namespace

MemcachedServer::MemcachedServer(std::string largest_value, std::uint16_t port)
    : port_(port ? port : free_port()) {
  std::vector<std::string> words = {"setpriv",   "--pdeathsig", "KILL", "memcached", "-l",
                                    "127.0.0.1", "-U",          "0",    "-p",        std::to_string(port_)};
  if (::geteuid() == 0) words.insert(words.end(), {"-u", "nobody"});
  words.insert(words.end(), {"-m", "512", "-I", std::move(largest_value)});
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  if (posix_spawnp(&pid_, argv[0], nullptr, nullptr, argv.data(), environ) != 0)
    throw std::runtime_error("memcached cannot be started");
  for (int i = 0; i < 1000; ++i) {
    try {
      if (command("version").starts_with("VERSION")) return;
    } catch (const boost::system::system_error&) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));  // not listening yet
    }
  }
  throw std::runtime_error("memcached does not answer");
}

MemcachedServer::~MemcachedServer() {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

std::string MemcachedServer::command(const std::string& line) const {
  asio::io_context io;
  tcp::socket socket(io);
  socket.connect({asio::ip::address_v4::loopback(), port_});
  asio::write(socket, asio::buffer(line + "\r\n"));
  std::string out;
  for (char c = 0; c != '\n';) {
    socket.read_some(asio::buffer(&c, 1));
    if (c != '\r' && c != '\n') out += c;
  }
  return out;
}

}  // namespace celeriac::testing
