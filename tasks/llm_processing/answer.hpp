// The JSON inside a model's answer, held against its schema.
#pragma once

#include "protocol/error.hpp"
#include "protocol/json.hpp"

#include <string>
#include <string_view>

namespace celeriac {

// The value of an answer that fits `schema` (JSON Schema draft 7): the whole text, a fenced block in it, or
// what stands between the outermost braces. The error says, for the model, what is wrong.
Expected<Json> read_structured(std::string_view text, const Json& schema);

// An Error when `schema` is itself not usable.
Expected<bool> check_schema(const Json& schema);

}  // namespace celeriac
