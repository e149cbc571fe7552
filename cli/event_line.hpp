// Events as `celery events --dump` prints them, one line each.
#pragma once

#include "protocol/json.hpp"
#include "protocol/message.hpp"

#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

namespace celeriac {

// A message holds one event or a list of them.
Expected<std::vector<Json>> read_events(const Message& message);

class EventLines {
 public:
  std::string line(const Json& event);

 private:
  void remember(const std::string& uuid, std::string description);

  // What task-received told of a task is shown with its later events; the oldest are forgotten.
  std::unordered_map<std::string, std::string> tasks_;
  std::deque<std::string> order_;
};

}  // namespace celeriac
