#include "tests/queues/amqp_fixture.hpp"

#include "queues/amqp/field_table.hpp"

#include <amqp_tcp_socket.h>
#include <atomic>
#include <stdexcept>

namespace celeriac::testing {

RabbitServer& shared_rabbit() {
  static RabbitServer server;
  return server;
}

std::string fresh_vhost() {
  static int count = 0;
  const std::string name = "v" + std::to_string(++count);
  shared_rabbit().add_vhost(name);
  return name;
}

std::vector<amqp::Server> amqp_servers(const std::string& url) {
  Settings settings;
  settings.broker_url = url;
  auto servers = amqp::read_servers(settings);
  if (!servers) throw std::runtime_error(servers.error().what);
  return *servers;
}

std::unique_ptr<amqp::AmqpBroker> amqp_broker(boost::asio::io_context& io, const std::string& vhost,
                                              const Json& queue_arguments) {
  amqp::BrokerOptions options;
  options.servers = amqp_servers(shared_rabbit().url(vhost));
  options.topology.queue_arguments = queue_arguments;
  return std::make_unique<amqp::AmqpBroker>(io, std::move(options));
}

RawClient::RawClient(const std::string& vhost, Json queue_arguments)
    : state_(amqp_new_connection()), queue_arguments_(std::move(queue_arguments)) {
  amqp_socket_t* socket = amqp_tcp_socket_new(state_);
  if (!socket || amqp_socket_open(socket, "127.0.0.1", shared_rabbit().port()) != AMQP_STATUS_OK)
    throw std::runtime_error("cannot connect to the test's RabbitMQ");
  const auto login =
      amqp_login(state_, vhost.c_str(), 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest");
  if (login.reply_type != AMQP_RESPONSE_NORMAL)
    throw std::runtime_error("login to the test's RabbitMQ failed");
  amqp_channel_open(state_, 1);
  check("channel.open");
  amqp_confirm_select(state_, 1);
  check("confirm.select");
}

RawClient::~RawClient() {
  amqp_connection_close(state_, AMQP_REPLY_SUCCESS);
  amqp_destroy_connection(state_);
}

void RawClient::check(const char* what) {
  if (amqp_get_rpc_reply(state_).reply_type != AMQP_RESPONSE_NORMAL)
    throw std::runtime_error(std::string("the test's RabbitMQ refuses ") + what);
}

void RawClient::declare(const std::string& queue, const Json& arguments) {
  amqp::FieldTable table;
  if (!table.assign(arguments)) throw std::runtime_error("queue arguments");
  amqp_queue_declare(state_, 1, amqp::bytes(queue), 0, 1, 0, 0, table.table());
  check("queue.declare");
}

void RawClient::publish(const std::string& queue, const std::string& body, const std::string& header) {
  declare(queue, queue_arguments_);
  amqp_table_entry_t entry{};
  entry.key = amqp::bytes("note");
  entry.value.kind = AMQP_FIELD_KIND_UTF8;
  entry.value.value.bytes = amqp::bytes(header);
  amqp_basic_properties_t properties{};
  properties._flags = AMQP_BASIC_DELIVERY_MODE_FLAG;
  properties.delivery_mode = 2;
  if (!header.empty()) {
    properties._flags |= AMQP_BASIC_HEADERS_FLAG;
    properties.headers = {1, &entry};
  }
  if (amqp_basic_publish(state_, 1, amqp_empty_bytes, amqp::bytes(queue), 0, 0, &properties,
                         amqp::bytes(body)) != AMQP_STATUS_OK)
    throw std::runtime_error("publish failed");
  amqp_frame_t frame;
  if (amqp_simple_wait_frame(state_, &frame) != AMQP_STATUS_OK ||
      frame.payload.method.id != AMQP_BASIC_ACK_METHOD)
    throw std::runtime_error("no confirm");
}

std::vector<std::string> RawClient::look(const std::string& queue) {
  std::vector<std::string> bodies;
  while (true) {
    amqp_maybe_release_buffers(state_);
    const auto got = amqp_basic_get(state_, 1, amqp::bytes(queue), 0);
    if (got.reply_type != AMQP_RESPONSE_NORMAL) return bodies;  // there is no such queue
    if (got.reply.id == AMQP_BASIC_GET_EMPTY_METHOD) break;
    amqp_message_t message;
    if (amqp_read_message(state_, 1, &message, 0).reply_type != AMQP_RESPONSE_NORMAL)
      throw std::runtime_error("a message cannot be read");
    bodies.emplace_back(amqp::view(message.body));
    amqp_destroy_message(&message);
  }
  if (!bodies.empty()) amqp_basic_nack(state_, 1, 0, 1, 1);
  while (true) {
    const auto* found = amqp_queue_declare(state_, 1, amqp::bytes(queue), 1, 0, 0, 0, amqp_empty_table);
    check("queue.declare");
    if (found->message_count == bodies.size()) return bodies;
  }
}

std::uint32_t RawClient::consumers(const std::string& queue) {
  const auto* found = amqp_queue_declare(state_, 1, amqp::bytes(queue), 1, 0, 0, 0, amqp_empty_table);
  check("queue.declare");
  return found->consumer_count;
}

void RawClient::remove(const std::string& queue) {
  amqp_queue_delete(state_, 1, amqp::bytes(queue), 0, 0);
  check("queue.delete");
}

}  // namespace celeriac::testing
