#include "tasks/aliases/websocket_events.hpp"

#include <chrono>
#include <utility>
#include <vector>

namespace celeriac {
namespace {

constexpr std::chrono::seconds patience{2};  // a browser's progress bar must not hold up a document

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

WebsocketEvents::WebsocketEvents(const std::string& url) : url_(url) {}

bool WebsocketEvents::publish(const Json& event) {
  if (url_.empty()) return true;
  const std::vector<std::string> command = {"PUBLISH", "websocket_events", dump_json(event)};
  try {
    if (!connection_) connection_.emplace(url_, patience);
    const bool kept = connection_->connected();
    try {
      connection_->run(command);
    } catch (const RedisAway&) {
      if (!kept) return false;
      connection_->run(command);  // perhaps only dropped while idle
    }
    return true;
  } catch (const RedisAway&) {
    return false;
  } catch (const std::invalid_argument&) {
    return false;
  }
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
