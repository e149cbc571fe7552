#include "config/url.hpp"
#include "queues/amqp/keeper.hpp"
#include "queues/amqp/task_queues.hpp"
#include "queues/queue_keeper.hpp"
#include "queues/redis/keeper.hpp"

namespace celeriac {

Expected<std::unique_ptr<QueueKeeper>> make_queue_keeper(boost::asio::io_context& io,
                                                         const Settings& settings) {
  auto url = parse_url(std::string_view(settings.broker_url).substr(0, settings.broker_url.find(';')));
  if (!url) return tl::unexpected(url.error());
  const auto& scheme = url->scheme;
  if (scheme == "redis" || scheme == "rediss" || scheme == "redis+socket") {
    auto connection =
        redis::connection_options(*url, settings.broker_transport_options, settings.broker_use_ssl);
    if (!connection) return tl::unexpected(connection.error());
    connection->client_name = "celeriac";
    return std::make_unique<redis::Keeper>(io, std::move(*connection), settings.broker_transport_options);
  }
  if (scheme == "amqp" || scheme == "amqps" || scheme == "pyamqp" || scheme == "librabbitmq") {
    auto servers = amqp::read_servers(settings);
    if (!servers) return tl::unexpected(servers.error());
    return std::make_unique<amqp::Keeper>(io, std::move(*servers), amqp::read_topology(settings));
  }
  return unexpected("the queues of " + url->display() +
                    " cannot be looked into (that is possible for redis, rediss, redis+socket, amqp, amqps)");
}

}  // namespace celeriac
