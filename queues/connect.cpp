#include "queues/connect.hpp"

#include "queues/formatted_broker.hpp"
#include "queues/redis/redis_broker.hpp"

namespace celeriac {
namespace {

Expected<std::unique_ptr<Broker>> make_transport(boost::asio::io_context& io, const Settings& settings) {
  const std::string& url = settings.broker_url;
  if (redis::is_redis_url(url)) {
    auto connection =
        redis::connection_options(url, settings.broker_transport_options, settings.broker_use_ssl);
    if (!connection) return tl::unexpected(connection.error());
    connection->client_name = "celeriac";
    connection->max_retries = settings.broker_connection_max_retries;
    if (!settings.broker_connection_retry_on_startup || !settings.broker_connection_retry)
      connection->max_retries = -1;
    redis::BrokerOptions options;
    options.connection = std::move(*connection);
    options.redis = settings.broker_transport_options;
    options.display_url = redis::display_urls(url);
    return std::make_unique<redis::RedisBroker>(io, std::move(options));
  }
  auto parsed = parse_url(url);
  if (!parsed) return tl::unexpected(parsed.error());
  return unexpected("broker_url: unknown scheme '" + parsed->scheme +
                    "' (known: redis, rediss, redis+socket, sentinel)");
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
