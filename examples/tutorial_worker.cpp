// Everything docs/tasks-in-cpp.md shows, compiled.
#include "protocol/tagged.hpp"
#include "worker/app.hpp"
#include "worker/async_task.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

namespace {

using celeriac::awaitable;
using celeriac::Context;
using celeriac::Json;
using celeriac::TaskError;

// docs: arguments
struct Order {
  std::string id;
  int lines = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Order, id, lines)

Order split(Context&, Order order, int at, std::optional<std::string> note) {
  if (at < 0) throw TaskError("ValueError", "at must not be negative");
  if (note) order.id += "-" + *note;
  order.lines = at;
  return order;
}

// docs: retries
std::string fetch(Context& context, std::string path) {
  std::ifstream file(path);
  if (!file) {
    context.retry(
        {.countdown = 30, .exc = TaskError("FileNotFoundError", Json::array({2, "no such file", path}))});
  }
  std::string line;
  std::getline(file, line);
  return line;
}

// docs: long tasks
int convert(Context& context, std::vector<std::string> pages) {
  int done = 0;
  for (const std::string& page : pages) {
    context.checkpoint();
    context.log(2, "page " + page);
    context.progress(static_cast<std::uint64_t>(++done), pages.size(), "pages");
  }
  return done;
}

// docs: sending
std::string announce(Context& context, std::string order_id) {
  return context.send("mail.order_ready", Json::array({order_id}), Json::object(), {.countdown = 10});
}

// docs: money
celeriac::Decimal total(Context&, celeriac::Decimal amount) { return amount; }

// docs: coroutines
awaitable<Json> remind(Context&, const Json& args, const Json&) {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
  timer.expires_after(std::chrono::seconds(args.at(0).get<int>()));
  co_await timer.async_wait(boost::asio::use_awaitable);
  co_return "time is up";
}

}  // namespace

int main(int argc, char** argv) {
  celeriac::App app;
  app.task("shop.split", split, {.params = {"order", "at", "note"}, .defaults = {{"at", 1}}});
  app.task("shop.fetch", fetch, {.params = {"path"}, .queue = "files", .max_retries = 5});
  app.task("shop.convert", convert, {.params = {"pages"}, .soft_time_limit = 60, .time_limit = 70});
  app.task("shop.announce", announce,
           {.params = {"order_id"}, .autoretry_for = {"OperationalError"}, .retry_backoff = 1});
  app.task("shop.total", total, {.params = {"amount"}});
  app.task("shop.hello", [](Context&, std::string name) { return "hello " + name; }, {.params = {"name"}});
  app.raw_task("shop.collect", [](Context&, const Json& args, const Json& kwargs) {
    return Json{{"args", args}, {"kwargs", kwargs}};
  });
  app.async_task("shop.remind", remind);
  return celeriac::worker_main(app, argc, argv);
}
