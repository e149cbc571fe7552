// Results in Redis, under Celery's keys (docs/results.md).
#pragma once

#include "config/settings.hpp"
#include "queues/result_backend.hpp"

#include <boost/asio/io_context.hpp>
#include <memory>

namespace celeriac {

// redis://, rediss://, redis+socket:// or sentinel://, as queues/redis/connection.hpp reads them.
Expected<std::unique_ptr<ResultBackend>> make_redis_backend(boost::asio::io_context& io,
                                                            const Settings& settings, const std::string& url);

}  // namespace celeriac
