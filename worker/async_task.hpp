// Tasks as coroutines: for work that mostly waits, such as calls of other services.
//
//   awaitable<Json> ask(Context& context, const Json& args, const Json& kwargs);
//   app.async_task("ask", ask, {.params = {"question"}});
//
// A coroutine runs on one thread with all others of its process, so it must not block: what
// does (a database, Context::send, which waits for the broker) goes through run_blocking().
// It is ended by cancellation at the place where it waits: that wait throws
// operation_aborted, and so does each later one until reset_cancellation_state().
#pragma once

#include "worker/app.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <type_traits>
#include <utility>

namespace celeriac {

using boost::asio::awaitable;

// A few threads of this process, made on first use, for what blocks.
boost::asio::any_io_executor blocking_executor();

namespace async_task_detail {
template <class F>
awaitable<std::invoke_result_t<F>> call(F function) {
  co_return function();
}
}  // namespace async_task_detail

// Calls `function` on one of those threads and waits for its result without blocking this one.
// A result must be default-constructible. What it throws is thrown here.
template <class F>
awaitable<std::invoke_result_t<F>> run_blocking(F function) {
  auto call = async_task_detail::call(std::move(function));
  return boost::asio::co_spawn(blocking_executor(), std::move(call), boost::asio::use_awaitable);
}

// Runs a coroutine, and whatever it started on its executor, to the end on the calling thread:
// how every pool but async runs it. Once the soft limit has passed it is cancelled.
Json run_to_end(const AsyncBody& body, Context& context, const Json& args, const Json& kwargs);

// `thrown` by a coroutine that was cancelled because of the soft limit becomes SoftTimeLimitExceeded;
// anything else stays what it is.
std::exception_ptr as_soft_limit(const Context& context, std::exception_ptr thrown);

}  // namespace celeriac
