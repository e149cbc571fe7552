#include "tests/tasks/scripted_server.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <stdexcept>

namespace celeriac::testing {

void ScriptedServer::Connection::send(const std::string& bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const auto sent = ::send(fd_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
    if (sent <= 0) return close();
    at += static_cast<std::size_t>(sent);
  }
}

void ScriptedServer::Connection::reply(int status, const std::string& body, const std::string& more_headers,
                                       const std::string& content_type) {
  send("HTTP/1.1 " + std::to_string(status) + " Scripted\r\nContent-Type: " + content_type +
       "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + more_headers + "\r\n" + body);
}

void ScriptedServer::Connection::wait(std::chrono::milliseconds time) {
  std::unique_lock lock(server_.mutex_);
  server_.ended_.wait_for(lock, time, [this] { return server_.ending_; });
}

ScriptedServer::ScriptedServer(Script script) : script_(std::move(script)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 512) != 0)
    throw std::runtime_error("the scripted server cannot listen");
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

ScriptedServer::~ScriptedServer() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
    for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  ended_.notify_all();
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  ::close(listener_);
  for (std::thread& thread : threads_) thread.join();
}

void ScriptedServer::accept_all() {
  for (;;) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    std::lock_guard lock(mutex_);
    if (ending_) {
      ::close(fd);
      return;
    }
    open_.push_back(fd);
    threads_.emplace_back([this, fd] { serve(fd); });
  }
}

void ScriptedServer::serve(int fd) {
  std::string buffer;
  Connection connection(*this, fd);
  const auto read_more = [&] {
    char piece[16384];
    const auto count = ::recv(fd, piece, sizeof piece, 0);
    if (count > 0) buffer.append(piece, static_cast<std::size_t>(count));
    return count > 0;
  };
  while (!connection.closed_) {
    std::size_t end;
    while ((end = buffer.find("\r\n\r\n")) == std::string::npos)
      if (!read_more()) connection.closed_ = true, buffer += "\r\n\r\n";
    if (connection.closed_) break;
    Received received;
    std::size_t line_end = buffer.find("\r\n");
    const std::string first = buffer.substr(0, line_end);
    received.method = first.substr(0, first.find(' '));
    received.target = first.substr(received.method.size() + 1, first.rfind(' ') - received.method.size() - 1);
    while (line_end < end) {
      const std::size_t begin = line_end + 2;
      line_end = buffer.find("\r\n", begin);
      std::string name = buffer.substr(begin, buffer.find(':', begin) - begin);
      const std::size_t value = begin + name.size() + 2;
      std::ranges::transform(name, name.begin(),
                             [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      if (value < line_end) received.headers[name] = buffer.substr(value, line_end - value);
    }
    const auto length = received.headers.find("content-length");
    const std::size_t total = end + 4 + (length == received.headers.end() ? 0 : std::stoul(length->second));
    while (buffer.size() < total)
      if (!read_more()) break;
    received.body = buffer.substr(end + 4, total - end - 4);
    buffer.erase(0, std::min(total, buffer.size()));
    ++requests_;
    script_(received, connection);
  }
  std::lock_guard lock(mutex_);
  std::erase(open_, fd);
  ::close(fd);
}

}  // namespace celeriac::testing
