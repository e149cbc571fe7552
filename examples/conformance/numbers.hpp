// Python's + on JSON values: integers do not overflow, int + float is float, texts and lists join,
// anything else is a TypeError.
#pragma once

#include "protocol/json.hpp"

namespace conformance {

celeriac::Json python_add(const celeriac::Json& x, const celeriac::Json& y);
celeriac::Json python_multiply(const celeriac::Json& x, const celeriac::Json& y);  // numbers only

// int or float, as Python's isinstance(value, (int, float)) without bool.
bool is_number(const celeriac::Json& value);

}  // namespace conformance
