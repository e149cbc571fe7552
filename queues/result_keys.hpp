// The names of Celery's result keys in stores of keys and values (Redis, memcached, files); in Redis also the
// channels results are published on.
#pragma once

#include "config/settings.hpp"

#include <string>
#include <string_view>

namespace celeriac {

// The documents of both, ours and Celery's, have the state first.
inline constexpr std::string_view success_begins = R"({"status": "SUCCESS")";

// global_keyprefix of a result store, with the '_' Celery adds unless it ends in one of ": _ - .".
// (Broker keys take the prefix as it is.)
inline std::string result_prefix(const RedisOptions& options) {
  std::string prefix = options.global_keyprefix;
  if (!prefix.empty() && std::string_view(":_-.").find(prefix.back()) == std::string_view::npos)
    prefix += '_';
  return prefix;
}

inline std::string task_key(std::string_view prefix, std::string_view task_id) {
  return std::string(prefix).append("celery-task-meta-").append(task_id);
}
// In Redis also the beginning of a chord's ".j", ".t" and ".s".
inline std::string group_key(std::string_view prefix, std::string_view group_id) {
  return std::string(prefix).append("celery-taskset-meta-").append(group_id);
}

}  // namespace celeriac
