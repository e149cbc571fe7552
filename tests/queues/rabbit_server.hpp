// A private RabbitMQ node for a test: its own name, ports, epmd and folder, ended with the object. It takes
// seconds to start, so a test program starts one and shares it. Link celeriac_test_rabbit.
#pragma once

#include <sys/types.h>
#include <cstdint>
#include <string>
#include <vector>

namespace celeriac::testing {

class RabbitServer {
 public:
  // `config` goes to rabbitmq.conf. Throws std::runtime_error when the node does not come up.
  explicit RabbitServer(const std::string& config = {});
  ~RabbitServer();
  RabbitServer(const RabbitServer&) = delete;
  RabbitServer& operator=(const RabbitServer&) = delete;

  std::uint16_t port() const { return port_; }
  std::string url(const std::string& vhost = "/") const;  // of user guest

  // Runs Erlang code in the node, "rabbit_vhost:list_names().", and returns "{ok, VALUE}". Much quicker
  // than rabbitmqctl.
  std::string evaluate(const std::string& code) const;
  void add_vhost(const std::string& name) const;
  void cut_connections() const;  // the server closes every client's connection

  void freeze();  // SIGSTOP
  void thaw();
  void kill();   // SIGKILL, and waits for the end
  void start();  // again, on the same ports and folder

 private:
  std::vector<std::string> environment() const;

  std::string directory_, node_;
  std::uint16_t port_ = 0, dist_port_ = 0, epmd_port_ = 0;
  pid_t pid_ = -1, epmd_ = -1;
};

}  // namespace celeriac::testing
