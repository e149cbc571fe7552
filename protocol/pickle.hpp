// Python's pickle as far as plain data goes, for result columns that Python processes share with us.
// Writing uses opcodes of protocol 2; reading takes the data opcodes of every protocol. Nothing is ever
// imported, called or built: whatever a pickle would make of a Python class becomes a marker, see
// pickle_opaque.
#pragma once

#include "protocol/json.hpp"

#include <string>
#include <string_view>

namespace celeriac {

// Python's pickle.loads() makes the same value of it that json.loads() makes of the JSON text;
// tagged bytes become bytes, decimals and UUIDs their Python objects, other tags stay dicts.
// In an exception's dict (exc_type, exc_message, exc_module) at the top the message array is
// written as a tuple, as Celery does.
std::string pickle_dump(const Json& value);

// Tuples, lists, sets and frozensets become arrays, bytes become tagged bytes, keys that are no text
// become text as in json.dumps. Bounded: size of the input, depth 512, and what shared references
// expand to. Cycles are an error.
Expected<Json> pickle_load(std::string_view bytes);

// {"__type__": "python", "__value__": "module.Class"}: a Python object that was not built.
Json pickle_opaque(std::string_view name);
bool is_pickle_opaque(const Json& value);

}  // namespace celeriac
