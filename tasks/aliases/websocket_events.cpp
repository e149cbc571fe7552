#include "tasks/aliases/websocket_events.hpp"

#include "config/url.hpp"

#include <hiredis/hiredis.h>
#include <sys/time.h>

#include <chrono>
#include <utility>

namespace celeriac {
namespace {

constexpr std::string_view channel = "websocket_events";
constexpr timeval patience{2, 0};  // seconds; a browser's progress bar must not hold up a document

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

struct FreeReply {
  void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, FreeReply>;

}  // namespace

void WebsocketEvents::Close::operator()(redisContext* context) const noexcept { redisFree(context); }

WebsocketEvents::WebsocketEvents(const std::string& url) : url_(url) {}
WebsocketEvents::~WebsocketEvents() = default;

bool WebsocketEvents::connect() {
  const auto url = parse_url(url_);
  if (!url || url->scheme != "redis") return false;
  connection_.reset(redisConnectWithTimeout(url->host.c_str(), url->port ? url->port : 6379, patience));
  if (!connection_ || connection_->err) return false;
  redisSetTimeout(connection_.get(), patience);
  if (url->password.empty()) return true;
  const Reply reply(static_cast<redisReply*>(
      url->user.empty()
          ? redisCommand(connection_.get(), "AUTH %s", url->password.c_str())
          : redisCommand(connection_.get(), "AUTH %s %s", url->user.c_str(), url->password.c_str())));
  return reply && reply->type != REDIS_REPLY_ERROR;
}

bool WebsocketEvents::publish(const Json& event) {
  if (url_.empty()) return true;
  const std::string text = dump_json(event);
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (!connection_ && !connect()) {
      connection_.reset();
      return false;
    }
    const Reply reply(static_cast<redisReply*>(redisCommand(
        connection_.get(), "PUBLISH %b %b", channel.data(), channel.size(), text.data(), text.size())));
    if (reply) return reply->type != REDIS_REPLY_ERROR;
    connection_.reset();  // dropped while idle: once more
  }
  return false;
}

bool WebsocketEvents::task_update(const std::string& task_id, Json data) {
  data["timestamp"] = now_ms();
  return publish({{"event", "task_update"}, {"task_id", task_id}, {"data", std::move(data)}});
}

bool WebsocketEvents::user_notification(const std::string& user_id, Json data) {
  data["timestamp"] = now_ms();
  return publish({{"event", "user_notification"}, {"user_id", user_id}, {"data", std::move(data)}});
}

}  // namespace celeriac
