#include "worker/async_task.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/system/system_error.hpp>

#include <chrono>
#include <exception>

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

namespace {

// Looks at the soft limit now and then, and cancels once it has passed. Being a timer of the loop it also
// keeps the loop waiting in its reactor, which other threads wake under the loop's lock: none of them touches
// the loop after run() has returned.
struct SoftLimitWatch {
  boost::asio::steady_timer timer;
  const Context& context;
  boost::asio::cancellation_signal cancel;
  bool ended = false;

  void start() {
    timer.expires_after(soft_limit_check);
    timer.async_wait([this](boost::system::error_code) {
      if (ended) return;
      if (!context.soft_limit_exceeded()) return start();
      cancel.emit(boost::asio::cancellation_type::terminal);
    });
  }

  void stop() {
    ended = true;
    timer.cancel();
  }
};

}  // namespace

Json run_to_end(const AsyncBody& body, Context& context, const Json& args, const Json& kwargs) {
  boost::asio::io_context loop(1);
  SoftLimitWatch watch{boost::asio::steady_timer(loop), context, {}, false};
  std::exception_ptr thrown;
  Json result;
  auto done = [&](std::exception_ptr error, Json value) {
    thrown = error;
    result = std::move(value);
    watch.stop();
  };
  boost::asio::co_spawn(loop, body(context, args, kwargs),
                        boost::asio::bind_cancellation_slot(watch.cancel.slot(), done));
  watch.start();
  loop.run();  // until nothing refers to the loop any more, not just until `done`
  if (thrown) std::rethrow_exception(as_soft_limit(context, thrown));
  return result;
}

void App::async_task(std::string name, AsyncBody body, TaskOptions options, ArgumentRules rules) {
  Body to_end = [body](Context& context, const Json& args, const Json& kwargs) {
    return run_to_end(body, context, args, kwargs);
  };
  add(name, std::move(to_end), std::move(options), std::move(rules));
  tasks_.find(name)->second.async_body = std::move(body);
}

}  // namespace celeriac
