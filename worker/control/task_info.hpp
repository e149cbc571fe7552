// One task as `inspect` shows it.
#pragma once

#include "protocol/json.hpp"
#include "worker/consumer.hpp"

namespace celeriac {

struct TaskInfoOptions {
  std::string node;
  const std::vector<std::string>* accept = nullptr;  // content types
  bool safe = false;                                 // arguments as their reprs, not as values
};

Json task_info(const Request& request, const TaskInfoOptions& options);
Json task_info(const Consumer::Scheduled& scheduled, const TaskInfoOptions& options);

}  // namespace celeriac
