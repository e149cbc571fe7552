// The rows behind RuleSet's defaults.
#pragma once

#include "tasks/validation/rules.hpp"

#include <vector>

namespace celeriac {

std::vector<Rule> default_rules();

}  // namespace celeriac
