// The known word closest to a mistyped one.
#pragma once

#include <string_view>
#include <vector>

namespace celeriac {

// Empty when nothing is close enough to be worth suggesting (about a third of the letters wrong).
std::string_view nearest_word(std::string_view word, const std::vector<std::string_view>& known);

}  // namespace celeriac
