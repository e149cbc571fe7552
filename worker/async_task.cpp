#include "worker/async_task.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/system/system_error.hpp>

#include <chrono>
#include <exception>
#include <optional>

namespace celeriac {
namespace {

constexpr unsigned blocking_threads = 8;  // each may hold one connection to the database
constexpr std::chrono::milliseconds soft_limit_check{50};

}  // namespace

boost::asio::any_io_executor blocking_executor() {
  static boost::asio::thread_pool threads(blocking_threads);
  return threads.get_executor();
}

std::exception_ptr as_soft_limit(const Context& context, std::exception_ptr thrown) {
  if (!context.soft_limit_exceeded()) return thrown;
  try {
    std::rethrow_exception(thrown);
  } catch (const boost::system::system_error& error) {
    if (error.code() != boost::asio::error::operation_aborted) return thrown;
    return std::make_exception_ptr(SoftTimeLimitExceeded());
  } catch (...) {
    return thrown;
  }
}

Json run_to_end(const AsyncBody& body, Context& context, const Json& args, const Json& kwargs) {
  boost::asio::io_context loop(1);
  const auto open = boost::asio::make_work_guard(loop);  // also while all it waits for is elsewhere
  boost::asio::cancellation_signal cancel;
  std::exception_ptr thrown;
  std::optional<Json> result;
  auto done = [&](std::exception_ptr error, Json value) {
    thrown = error;
    result = std::move(value);
  };
  boost::asio::co_spawn(loop, body(context, args, kwargs),
                        boost::asio::bind_cancellation_slot(cancel.slot(), done));
  bool told = false;
  while (!result) {
    loop.run_one_for(soft_limit_check);
    if (told || !context.soft_limit_exceeded()) continue;
    told = true;
    cancel.emit(boost::asio::cancellation_type::terminal);
  }
  if (thrown) std::rethrow_exception(as_soft_limit(context, thrown));
  return std::move(*result);
}

void App::async_task(std::string name, AsyncBody body, TaskOptions options) {
  Body to_end = [body](Context& context, const Json& args, const Json& kwargs) {
    return run_to_end(body, context, args, kwargs);
  };
  add(name, std::move(to_end), std::move(options));
  tasks_.find(name)->second.async_body = std::move(body);
}

}  // namespace celeriac
