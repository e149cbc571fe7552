// Progress as DoxIn's API forwards it to browsers: PUBLISH websocket_events <json>.
//
// For people only: a server that is away costs a warning and nothing else. One connection per slot, made when
// the first event leaves and again after it was lost.
#pragma once

#include "protocol/json.hpp"
#include "tasks/engines/redis.hpp"

#include <optional>
#include <string>

namespace celeriac {

class WebsocketEvents {
 public:
  explicit WebsocketEvents(const std::string& url);  // empty: publishes nothing

  // {"event": "task_update", "task_id", "data": {"type": ..., "timestamp": ms, ...}}. False: not published.
  bool task_update(const std::string& task_id, Json data);
  // {"event": "user_notification", "user_id", "data": {...}}
  bool user_notification(const std::string& user_id, Json data);

 private:
  bool publish(const Json& event);

  std::string url_;
  std::optional<RedisConnection> connection_;
};

}  // namespace celeriac
