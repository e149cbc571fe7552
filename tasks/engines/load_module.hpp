// Finds and loads a module of this application: heavy libraries that only some processes need.
#pragma once

#include "protocol/error.hpp"

#include <string>

namespace celeriac {

// The address of `symbol` in the module `file` ("celeriac_engines.so"), which stays loaded. Looked for in
// $CELERIAC_ENGINES (a module, or any module in its folder), next to the executable, in
// ../<libdir>/celeriac (installed) and in ../bin (build tree) from there.
Expected<void*> load_module(const std::string& file, const char* symbol);

}  // namespace celeriac
