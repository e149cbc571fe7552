// What a command shows of a message: read from its exact bytes, without its arguments being
// interpreted. Bytes that are no message have only a `problem`.
#pragma once

#include "protocol/json.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace celeriac {

struct MessageFacts {
  std::string task, id;
  std::string args, kwargs;  // as Python writes them; secrets blanked
  std::string eta, origin;
  std::optional<int> priority;
  std::int64_t retries = 0;
  bool redelivered = false;
  std::size_t bytes = 0;
  std::string problem;  // why the bytes cannot be read

  Json json() const;
  // "add(2, 2)", as in a log line.
  std::string call() const;
};

MessageFacts message_facts(std::string_view bytes);

// Whom a command means. Empty members mean everybody.
struct MessageFilter {
  std::string task;  // a name, with * and ? as in a shell
  std::string id;
  std::string contains;  // somewhere in task, id or arguments, or in bytes that cannot be read

  bool empty() const { return task.empty() && id.empty() && contains.empty(); }
  bool matches(const MessageFacts& facts, std::string_view bytes) const;
};

// "2026-11-20 14:03:07Z"
std::string short_time(double unix_seconds);

}  // namespace celeriac
