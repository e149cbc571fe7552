#include "queues/connect.hpp"

#include "queues/amqp/amqp_broker.hpp"
#include "queues/amqp/task_queues.hpp"
#include "queues/formatted_broker.hpp"
#include "queues/redis/redis_broker.hpp"

#include <spdlog/spdlog.h>

namespace celeriac {
namespace {

// As in BackoffOptions.
int max_retries(const Settings& settings) {
  const bool none = !settings.broker_connection_retry_on_startup || !settings.broker_connection_retry;
  return none ? -1 : settings.broker_connection_max_retries;
}

std::optional<std::int64_t> queue_time_ms(const std::optional<double>& seconds) {
  if (!seconds) return std::nullopt;
  return static_cast<std::int64_t>(*seconds * 1000);
}

Expected<std::unique_ptr<Broker>> make_amqp_broker(boost::asio::io_context& io, const Settings& settings) {
  auto servers = amqp::read_servers(settings);
  if (!servers) return tl::unexpected(servers.error());
  amqp::BrokerOptions options;
  options.servers = std::move(*servers);
  options.max_retries = max_retries(settings);
  options.detect_quorum = settings.worker_detect_quorum_queues;
  options.topology = amqp::read_topology(settings);
  options.mailboxes.control = {queue_time_ms(settings.control_queue_ttl),
                               queue_time_ms(settings.control_queue_expires), settings.control_queue_durable,
                               settings.control_queue_exclusive.value_or(!settings.control_queue_durable)};
  options.mailboxes.events = {queue_time_ms(settings.event_queue_ttl),
                              queue_time_ms(settings.event_queue_expires), settings.event_queue_durable,
                              settings.event_queue_exclusive.value_or(!settings.event_queue_durable)};
  return std::make_unique<amqp::AmqpBroker>(io, std::move(options));
}

Expected<std::unique_ptr<Broker>> make_transport(boost::asio::io_context& io, const Settings& settings) {
  const std::string& url = settings.broker_url;
  if (redis::is_redis_url(url)) {
    auto connection =
        redis::connection_options(url, settings.broker_transport_options, settings.broker_use_ssl);
    if (!connection) return tl::unexpected(connection.error());
    connection->client_name = "celeriac";
    connection->max_retries = max_retries(settings);
    for (const auto& [queue, given] : settings.task_queues)
      if (given.exchange_type == "fanout")
        spdlog::warn("task_queues: queue '{}' gets nothing on Redis from its fanout exchange", queue);
    redis::BrokerOptions options;
    options.connection = std::move(*connection);
    options.redis = settings.broker_transport_options;
    options.display_url = redis::display_urls(url);
    return std::make_unique<redis::RedisBroker>(io, std::move(options));
  }
  auto parsed = parse_url(std::string_view(url).substr(0, url.find(';')));
  if (!parsed) return tl::unexpected(parsed.error());
  const auto& scheme = parsed->scheme;
  if (scheme == "amqp" || scheme == "amqps" || scheme == "pyamqp" || scheme == "librabbitmq")
    return make_amqp_broker(io, settings);
  return unexpected("broker_url: unknown scheme '" + scheme +
                    "' (known: amqp, amqps, redis, rediss, redis+socket, sentinel)");
}

}  // namespace

Expected<std::unique_ptr<Broker>> make_broker(boost::asio::io_context& io, const Settings& settings) {
  auto format = MessageFormat::create(settings);
  if (!format) return tl::unexpected(format.error());
  auto broker = make_transport(io, settings);
  if (!broker || format->plain()) return broker;
  return std::make_unique<FormattedBroker>(std::move(*broker), std::move(*format));
}

}  // namespace celeriac
