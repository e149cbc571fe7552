// The beat schedule's ledger in Redis: one hash, and a script that sends and writes in one step.
#pragma once

#include "queues/redis/connection.hpp"
#include "queues/tick_ledger.hpp"

namespace celeriac::redis {

struct TicksOptions {
  ConnectionOptions connection;
  RedisOptions redis;
  std::string schedule;     // beats of the same name share it
  std::string display_url;  // without its password
};

std::unique_ptr<TickLedger> make_redis_ticks(boost::asio::io_context& io, TicksOptions options);

}  // namespace celeriac::redis
