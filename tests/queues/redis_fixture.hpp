// What the tests of the Redis broker share.
#pragma once

#include "queues/redis/redis_broker.hpp"
#include "tests/queues/redis_server.hpp"

#include <boost/asio/io_context.hpp>
#include <memory>

namespace celeriac::testing {

inline redis::BrokerOptions redis_options(const RedisServer& server, const RedisOptions& transport = {}) {
  redis::BrokerOptions options;
  options.connection.endpoint.host = "127.0.0.1";
  options.connection.endpoint.port = server.port();
  options.connection.socket_timeout =
      std::chrono::milliseconds(static_cast<long>(transport.socket_timeout * 1000));
  options.redis = transport;
  options.display_url = server.url();
  return options;
}

inline std::unique_ptr<redis::RedisBroker> redis_broker(boost::asio::io_context& io,
                                                        const RedisServer& server,
                                                        const RedisOptions& transport = {}) {
  return std::make_unique<redis::RedisBroker>(io, redis_options(server, transport));
}

}  // namespace celeriac::testing
