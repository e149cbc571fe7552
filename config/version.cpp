#include "config/version.hpp"

namespace celeriac {

std::string_view version() { return CELERIAC_VERSION; }

}  // namespace celeriac
