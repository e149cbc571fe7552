// Reads what Gmail's REST interface answers.
#pragma once

#include "protocol/json.hpp"

#include <string>

namespace celeriac {

// The text under `key`; empty when there is none, or another type.
inline std::string text_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace celeriac
