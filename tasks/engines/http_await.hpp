// http_fetch() for coroutines: waits without blocking the thread; cancelling the coroutine ends
// the transfer.
#pragma once

#include "tasks/engines/http.hpp"

#include <boost/asio/awaitable.hpp>

namespace celeriac {

boost::asio::awaitable<HttpResult> http_await(HttpRequest request);

}  // namespace celeriac
