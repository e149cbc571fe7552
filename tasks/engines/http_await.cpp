#include "tasks/engines/http_await.hpp"

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <memory>

namespace celeriac {
namespace {

using Handler = boost::asio::any_completion_handler<void(HttpResult)>;

// Keeps the coroutine's loop open until the answer has been handed to it.
struct Waiter {
  Handler handler;
  boost::asio::any_io_executor executor;
  boost::asio::executor_work_guard<boost::asio::any_io_executor> work;

  Waiter(Handler taken, boost::asio::any_io_executor where)
      : handler(std::move(taken)), executor(where), work(where) {}
};

struct Start {
  HttpEngine* engine;
  boost::asio::any_io_executor executor;

  void operator()(Handler handler, HttpRequest request) const {
    const auto slot = boost::asio::get_associated_cancellation_slot(handler);
    const auto waiter = std::make_shared<Waiter>(std::move(handler), executor);
    const std::uint64_t transfer = engine->start(std::move(request), [waiter](HttpResult result) {
      boost::asio::post(waiter->executor, [waiter, result = std::move(result)]() mutable {
        Handler ready = std::move(waiter->handler);
        waiter->work.reset();
        std::move(ready)(std::move(result));
      });
    });
    if (slot.is_connected()) {
      auto on_cancel = [engine = engine, transfer](boost::asio::cancellation_type) {
        engine->cancel(transfer);
      };
      auto connected = slot;
      connected.assign(on_cancel);
    }
  }
};

boost::asio::awaitable<HttpResult> initiate(Start start, HttpRequest request) {
  return boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void(HttpResult)>(
      start, boost::asio::use_awaitable, std::move(request));
}

}  // namespace

boost::asio::awaitable<HttpResult> http_await(HttpRequest request) {
  const auto engine = load_http_engine();
  if (!engine) {
    HttpError error{HttpFailure::unreachable, engine.error().what, false};
    co_return tl::unexpected<HttpError>(std::move(error));
  }
  Start start;
  start.engine = *engine;
  start.executor = co_await boost::asio::this_coro::executor;
  HttpResult result = co_await initiate(start, std::move(request));
  co_return result;
}

}  // namespace celeriac
