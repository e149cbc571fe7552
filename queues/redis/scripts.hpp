// The Lua we run in the server. Each script is atomic, which is what makes a claim, a restore
// and a burial safe against our own death and against peers.
#pragma once

#include "queues/redis/request.hpp"

#include <string>
#include <string_view>

namespace celeriac::redis {

struct Script {
  std::string_view source;
  std::string sha;  // what EVALSHA takes
};

struct Scripts {
  Scripts();

  Script claim, restore, bury, heartbeat, forget, count, unlock, tick;

  // SCRIPT LOAD for all of them. The answers need no look: a failure shows as NOSCRIPT.
  Request load() const;
};

const Scripts& scripts();

}  // namespace celeriac::redis
