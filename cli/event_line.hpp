// Events as `celery events --dump` prints them, one line each.
#pragma once

#include "protocol/json.hpp"

#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

namespace celeriac {

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
