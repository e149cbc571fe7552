// An HTTP/1.1 server for tests that answers as it is told, byte for byte: slowly, half, wrongly, never. One
// thread for each connection.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace celeriac::testing {

struct Received {
  std::string method, target, body;
  std::map<std::string, std::string> headers;  // lower-case names
};

class ScriptedServer {
 public:
  class Connection {
   public:
    void send(const std::string& bytes);
    void reply(int status, const std::string& body, const std::string& more_headers = "",
               const std::string& content_type = "application/json");
    void wait(std::chrono::milliseconds time);  // or until the server ends
    void close() { closed_ = true; }            // after what was sent

   private:
    friend ScriptedServer;
    Connection(ScriptedServer& server, int fd) : server_(server), fd_(fd) {}
    ScriptedServer& server_;
    int fd_;
    bool closed_ = false;
  };
  using Script = std::function<void(const Received&, Connection&)>;  // called by several threads at once

  explicit ScriptedServer(Script script);
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  int requests() const { return requests_; }

 private:
  void accept_all();
  void serve(int fd);

  Script script_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> requests_{0};
  std::mutex mutex_;
  std::condition_variable ended_;
  bool ending_ = false;
  std::vector<int> open_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace celeriac::testing
