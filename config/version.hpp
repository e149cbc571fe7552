// This build's version, as --version and the worker's banner show it.
#pragma once

#include <string_view>

namespace celeriac {

std::string_view version();  // "0.1.0"

}  // namespace celeriac
