// Making objects out of gathered members. ordered_json's own insertion looks at every member
// before it, and its objects copy their values whenever they grow; this does neither.
#pragma once

#include "protocol/json.hpp"

#include <string>
#include <utility>
#include <vector>

namespace celeriac {

using Members = std::vector<std::pair<std::string, Json>>;

// Moves the members from `base` on into an object. A repeated key stays where it first stood,
// with its last value, as in a Python dict.
Json take_object(Members& members, std::size_t base = 0);

}  // namespace celeriac
