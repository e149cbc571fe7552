// The events in a message.
#pragma once

#include "protocol/json.hpp"
#include "protocol/message.hpp"

#include <vector>

namespace celeriac {

// A message holds one event or a list of them.
Expected<std::vector<Json>> read_events(const Message& message);

}  // namespace celeriac
