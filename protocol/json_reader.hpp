// Reads one value out of a longer JSON text.
#pragma once

#include "protocol/json.hpp"
#include "protocol/json_scanner.hpp"

namespace celeriac {

// The next value, as parse_json() reads a whole text. False: `in` has failed and says why.
bool read_json(JsonScanner& in, Json& value, std::size_t max_depth = JsonLimits{}.max_depth);

}  // namespace celeriac
