// A worker whose tasks do what the interop tests need to see from outside: leave an effect in
// Redis, crash, allocate without end, ignore limits.
#include "worker/app.hpp"

#include <hiredis/hiredis.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

namespace {

using celeriac::Context;
using celeriac::Json;

struct FreeContext {
  void operator()(redisContext* c) const noexcept { redisFree(c); }
};
struct FreeReply {
  void operator()(redisReply* r) const noexcept { freeReplyObject(r); }
};

// Where effects are counted: a server that no test kills.
redisContext& effects() {
  thread_local std::unique_ptr<redisContext, FreeContext> connection;
  if (!connection || connection->err) {
    const char* port = std::getenv("EFFECTS_PORT");
    if (!port) throw std::runtime_error("EFFECTS_PORT is not set");
    connection.reset(redisConnect("127.0.0.1", std::atoi(port)));
    if (!connection || connection->err) throw std::runtime_error("cannot reach the effects server");
  }
  return *connection;
}

long long incr(const std::string& key) {
  std::unique_ptr<redisReply, FreeReply> reply(
      static_cast<redisReply*>(redisCommand(&effects(), "INCR %b", key.data(), key.size())));
  if (!reply || reply->type != REDIS_REPLY_INTEGER) throw std::runtime_error("INCR failed");
  return reply->integer;
}

Json echo(Context&, Json x) { return x; }

Json collect(Context&, const Json& args, const Json& kwargs) {
  return Json{{"args", args}, {"kwargs", kwargs}};
}

double add(Context&, double x, double y) { return x + y; }

Json fail(Context&, std::string kind, Json messages) { throw celeriac::TaskError(kind, messages); }

Json retry_then(Context& context, Json value, int times) {
  if (context.retries() < times)
    context.retry({.countdown = 0, .exc = celeriac::TaskError("ValueError", Json::array({"again"}))});
  return Json::array({value, context.retries()});
}

Json again_in(Context& context, Json value, double seconds) {
  if (context.retries() == 0) context.retry({.countdown = seconds});
  return value;
}

// Counts one run of this id, after `seconds` of work.
long long effect(Context& context, double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  return incr("effect:" + context.task_id());
}

void nap(Context&, double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

void print(Context&, std::string text) { std::printf("%s\n", text.c_str()); }

void crash(Context&) { std::raise(SIGSEGV); }

void leave(Context&, int code) { std::exit(code); }

std::uint64_t devour(Context&) {
  std::vector<std::unique_ptr<char[]>> held;
  std::uint64_t total = 0;
  for (;;) {
    constexpr std::size_t chunk = 16u << 20;
    held.push_back(std::make_unique<char[]>(chunk));
    for (std::size_t i = 0; i < chunk; i += 4096) held.back()[i] = 1;
    total += chunk;
  }
  return total;
}

// --- the mixed fleet; fleet.py has the same tasks for Celery

std::int64_t fleet_add(Context& context, std::int64_t x, std::int64_t y) {
  incr("effect:" + context.task_id());
  return x + y;
}

std::int64_t fleet_total(Context& context, std::vector<std::int64_t> values) {
  incr("effect:" + context.task_id());
  return std::accumulate(values.begin(), values.end(), std::int64_t{0});
}

Json fleet_fail(Context& context, const Json&, const Json&) {
  incr("effect:" + context.task_id());
  throw celeriac::TaskError("FleetError", Json::array({"meant to fail"}), "fleet");
}

// Sends what a Python client composed; returns its result tuple.
Json fleet_send(Context& context, Json signature) {
  return context.apply(celeriac::Signature::read(std::move(signature)));
}

}  // namespace

int main(int argc, char** argv) {
  celeriac::App app;
  app.task("interop.echo", echo, {.params = {"x"}});
  app.raw_task("interop.collect", collect);
  app.task("interop.add", add, {.params = {"x", "y"}});
  app.task("interop.fail", fail, {.params = {"kind", "messages"}});
  app.task("interop.retry", retry_then, {.params = {"value", "times"}, .default_retry_delay = 0});
  app.task("interop.again_in", again_in, {.params = {"value", "seconds"}});
  app.task("interop.effect", effect,
           {.params = {"seconds"}, .acks_late = true, .reject_on_worker_lost = true});
  const celeriac::TaskOptions late{.acks_late = true, .reject_on_worker_lost = true};
  const auto with = [&](std::vector<std::string> params) {
    celeriac::TaskOptions options = late;
    options.params = std::move(params);
    return options;
  };
  app.task("fleet.add", fleet_add, with({"x", "y"}));
  app.task("fleet.total", fleet_total, with({"values"}));
  app.raw_task("fleet.fail", fleet_fail, late);
  app.task("fleet.send", fleet_send, with({"signature"}));
  app.task("interop.nap", nap, {.params = {"seconds"}});
  app.task("interop.print", print, {.params = {"text"}});
  app.task("interop.crash", crash);
  app.task("interop.leave", leave, {.params = {"code"}});
  app.task("interop.devour", devour);
  return celeriac::worker_main(app, argc, argv);
}
