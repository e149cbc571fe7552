// Random UUIDs (version 4) as text, from a per-thread generator seeded by the kernel.
#pragma once

#include <string>

namespace celeriac {

std::string uuid4();

}  // namespace celeriac
