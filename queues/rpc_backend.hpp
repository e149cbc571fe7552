// rpc://: results are messages to the client that sent the task, over the broker of the settings. Nothing is
// kept, so only that client can read them; fetch(), wait() and forget() fail and say so.
#pragma once

#include "queues/broker.hpp"
#include "queues/result_backend.hpp"

#include <boost/asio/io_context.hpp>
#include <memory>

namespace celeriac {

// `broker` is not started, and is the backend's own.
std::unique_ptr<ResultBackend> make_rpc_backend(boost::asio::io_context& io, std::unique_ptr<Broker> broker);

}  // namespace celeriac
