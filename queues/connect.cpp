#include "queues/connect.hpp"

#include "queues/amqp/amqp_broker.hpp"
#include "queues/redis/redis_broker.hpp"

namespace celeriac {
namespace {

// As in BackoffOptions.
int max_retries(const Settings& settings) {
  const bool none = !settings.broker_connection_retry_on_startup || !settings.broker_connection_retry;
  return none ? -1 : settings.broker_connection_max_retries;
}

Expected<std::unique_ptr<Broker>> make_amqp_broker(boost::asio::io_context& io, const Settings& settings) {
  auto servers = amqp::read_servers(settings);
  if (!servers) return tl::unexpected(servers.error());
  amqp::BrokerOptions options;
  options.servers = std::move(*servers);
  options.max_retries = max_retries(settings);
  options.detect_quorum = settings.worker_detect_quorum_queues;
  options.topology.delayed_queue_type = settings.broker_native_delayed_delivery_queue_type;
  if (settings.task_default_queue_type == "quorum")
    options.topology.queue_arguments["x-queue-type"] = "quorum";
  if (settings.task_queue_max_priority)
    options.topology.queue_arguments["x-max-priority"] = *settings.task_queue_max_priority;
  return std::make_unique<amqp::AmqpBroker>(io, std::move(options));
}

}  // namespace

Expected<std::unique_ptr<Broker>> make_broker(boost::asio::io_context& io, const Settings& settings) {
  auto url = parse_url(std::string_view(settings.broker_url).substr(0, settings.broker_url.find(';')));
  if (!url) return tl::unexpected(url.error());
  const auto& scheme = url->scheme;
  if (scheme == "redis" || scheme == "rediss" || scheme == "redis+socket") {
    auto connection =
        redis::connection_options(*url, settings.broker_transport_options, settings.broker_use_ssl);
    if (!connection) return tl::unexpected(connection.error());
    connection->client_name = "celeriac";
    connection->max_retries = max_retries(settings);
    redis::BrokerOptions options;
    options.connection = std::move(*connection);
    options.redis = settings.broker_transport_options;
    options.display_url = url->display();
    return std::make_unique<redis::RedisBroker>(io, std::move(options));
  }
  if (scheme == "amqp" || scheme == "amqps" || scheme == "pyamqp" || scheme == "librabbitmq")
    return make_amqp_broker(io, settings);
  return unexpected("broker_url: unknown scheme '" + scheme +
                    "' (known: amqp, amqps, redis, rediss, redis+socket)");
}

}  // namespace celeriac
