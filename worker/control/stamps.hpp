// Stamps: values that clients mark tasks with, and by which tasks can be revoked.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace celeriac {

using Stamps = std::map<std::string, std::vector<std::string>>;  // header -> values, as text

// The values of each stamp; a single value counts as a list of one. Empty for text that is no object.
Stamps read_stamps(std::string_view json);

// True when one of the task's stamps is among the wanted values of the same header.
bool stamp_matches(std::string_view task_stamps_json, const Stamps& wanted);

}  // namespace celeriac
