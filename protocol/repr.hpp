// Python's repr() of a value, for argsrepr, kwargsrepr, logs and events.
#pragma once

#include "protocol/json.hpp"

#include <string>

namespace celeriac {

// {'a': [1, 2.5, True, None, 'x']}; tagged values by their Python form (Decimal('1.5')). Cut at
// `max` characters with "..." at the end (0: never).
std::string python_repr(const Json& value, std::size_t max = 1024);
std::string python_args_repr(const Json& array, std::size_t max = 1024);  // as a tuple: (1,) (1, 2) ()

}  // namespace celeriac
