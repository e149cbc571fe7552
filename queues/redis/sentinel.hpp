// Asks Redis Sentinels where the master is.
//
// Concurrency: one loop; nothing blocks.
#pragma once

#include "protocol/error.hpp"
#include "queues/stream.hpp"

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace celeriac::redis {

struct SentinelOptions {
  std::vector<Endpoint> endpoints;  // asked one after the other until one knows; empty: no sentinels
  std::string master_name;
  std::string user, password;  // of the sentinels themselves, not of the master
};

// `done` gets the master's host and port (the rest of the Endpoint is empty), or what each sentinel said.
// Each is given `timeout` to connect and as long to answer. The returned function gives up; `done` is then
// not called.
std::function<void()> find_master(boost::asio::io_context& io, SentinelOptions options,
                                  std::chrono::milliseconds timeout,
                                  std::function<void(Expected<Endpoint>)> done);

}  // namespace celeriac::redis
