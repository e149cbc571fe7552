#include "queues/connect.hpp"
#include "queues/file_ticks.hpp"
#include "queues/redis/redis_ticks.hpp"

namespace celeriac {

Expected<std::unique_ptr<TickLedger>> make_tick_ledger(boost::asio::io_context& io,
                                                       const Settings& settings) {
  const std::string& url = settings.broker_url;
  if (redis::is_redis_url(url)) {
    auto connection =
        redis::connection_options(url, settings.broker_transport_options, settings.broker_use_ssl);
    if (!connection) return tl::unexpected(connection.error());
    connection->client_name = "celeriac-beat";
    connection->max_retries =
        settings.broker_connection_retry && settings.broker_connection_retry_on_startup ? 0 : -1;
    redis::TicksOptions options;
    options.connection = std::move(*connection);
    options.redis = settings.broker_transport_options;
    options.schedule = settings.beat_schedule_filename;
    options.display_url = redis::display_urls(url);
    return redis::make_redis_ticks(io, std::move(options));
  }
  auto broker = make_broker(io, settings);
  if (!broker) return tl::unexpected(broker.error());
  return make_file_ticks(io, std::move(*broker), settings.beat_schedule_filename);
}

}  // namespace celeriac
