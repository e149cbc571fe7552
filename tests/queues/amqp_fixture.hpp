// What the tests of the AMQP broker share: one node per program, a vhost per test, and a plain client that
// does what no broker of ours does.
#pragma once

#include "protocol/json.hpp"
#include "queues/amqp/amqp_broker.hpp"
#include "tests/queues/rabbit_server.hpp"

#include <amqp.h>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <vector>

namespace celeriac::testing {

RabbitServer& shared_rabbit();
std::string fresh_vhost();

std::vector<amqp::Server> amqp_servers(const std::string& url);
std::unique_ptr<amqp::AmqpBroker> amqp_broker(boost::asio::io_context& io, const std::string& vhost,
                                              const Json& queue_arguments = Json::object());

// rabbitmq-c with its own socket, blocking. Throws std::runtime_error when the server refuses.
class RawClient {
 public:
  explicit RawClient(const std::string& vhost, Json queue_arguments = Json::object());
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  void declare(const std::string& queue, const Json& arguments);
  // Into the queue, which is declared; `header` becomes the value of the header "note" as it is.
  void publish(const std::string& queue, const std::string& body, const std::string& header = {});
  std::vector<std::string> look(const std::string& queue);  // at the bodies, which stay in the queue
  void remove(const std::string& queue);
  std::uint32_t consumers(const std::string& queue);

 private:
  void check(const char* what);

  amqp_connection_state_t state_;
  Json queue_arguments_;
};

}  // namespace celeriac::testing
