// The keys of what an operator does to queues; as all of ours they begin with "celeriac.".
#pragma once

#include "protocol/uuid.hpp"
#include "queues/redis/keys.hpp"

#include <string>

namespace celeriac::redis {

// hash: paused queue -> note
inline std::string paused_key(const Keys& keys) { return keys.prefix + "celeriac.paused"; }
// lists: the copy of a queue that is being exported; a new name at each call
inline std::string snapshot_key(const Keys& keys) { return keys.prefix + "celeriac.snapshot." + uuid4(); }

}  // namespace celeriac::redis
