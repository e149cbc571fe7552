// Tasks that leave a trace in Redis, where Celery's tests look for it. They use their own
// connection: a slot knows nothing of the worker's.
#include "conformance/tasks.hpp"

#include "protocol/tagged.hpp"

#include <hiredis/hiredis.h>

#include <cstdlib>
#include <memory>

namespace conformance {
namespace {

using celeriac::Context;
using celeriac::Json;
using celeriac::TaskError;

struct FreeContext {
  void operator()(redisContext* context) const noexcept { redisFree(context); }
};
struct FreeReply {
  void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
};

// One connection per slot thread, made on first use and again after an error.
redisContext& connection() {
  thread_local std::unique_ptr<redisContext, FreeContext> kept;
  if (!kept || kept->err) {
    const char* host = std::getenv("REDIS_HOST");
    const char* port = std::getenv("REDIS_PORT");
    kept.reset(redisConnect(host ? host : "localhost", port ? std::atoi(port) : 6379));
    if (!kept || kept->err) {
      throw TaskError("ConnectionError", {kept ? kept->errstr : "out of memory"}, "redis.exceptions");
    }
  }
  return *kept;
}

std::int64_t run(std::initializer_list<std::string_view> words) {
  std::vector<const char*> text;
  std::vector<std::size_t> size;
  for (const auto word : words) {
    text.push_back(word.data());
    size.push_back(word.size());
  }
  redisContext& redis = connection();
  const std::unique_ptr<redisReply, FreeReply> reply(static_cast<redisReply*>(
      redisCommandArgv(&redis, static_cast<int>(text.size()), text.data(), size.data())));
  if (!reply) throw TaskError("ConnectionError", {redis.errstr}, "redis.exceptions");
  if (reply->type == REDIS_REPLY_ERROR) throw TaskError("ResponseError", {reply->str}, "redis.exceptions");
  return reply->integer;
}

// As redis-py writes a value: text and bytes as they are, numbers in digits.
std::string written(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (const auto tag = celeriac::find_tag(value)) {
    if (auto bytes = celeriac::bytes_of_tag(*tag)) return *bytes;
  }
  return celeriac::dump_json(value);
}

Json echo(Context&, Json message, std::string key) {
  run({"RPUSH", key, written(message)});
  return nullptr;
}

Json echo_group_id(Context& context, Json, std::string key) {
  run({"RPUSH", key, context.group()});
  return nullptr;
}

Json count(Context&, std::string key) {
  run({"INCR", key});
  return nullptr;
}

std::string errback_old_style(Context&, std::string request_id) {
  run({"INCR", request_id});
  return request_id;
}

Json errback_new_style(Context&, Json request, Json, Json) {
  run({"INCR", request.at("id").get<std::string>()});
  return request["id"];
}

}  // namespace

void add_redis_tasks(celeriac::App& app) {
  const std::string suite = "t.integration.tasks.";
  app.task(suite + "redis_echo", echo,
           {.params = {"message", "redis_key"}, .defaults = {{"redis_key", "redis-echo"}}});
  app.task(suite + "redis_echo_group_id", echo_group_id,
           {.params = {"_", "redis_key"}, .defaults = {{"redis_key", "redis-group-ids"}}});
  app.task(suite + "redis_count", count,
           {.params = {"redis_key"}, .defaults = {{"redis_key", "redis-count"}}});
  app.task(suite + "errback_old_style", errback_old_style, {.params = {"request_id"}});
  app.task(suite + "errback_new_style", errback_new_style, {.params = {"request", "exc", "tb"}});
}

}  // namespace conformance
