// Changes to an envelope that an operator asks for. Everything not named keeps its exact bytes.
#pragma once

#include "protocol/error.hpp"

#include <string>
#include <string_view>

namespace celeriac {

// For another queue, on the default exchange: kombu gives a message that was taken back to the
// queue its delivery_info names, so that must name the new one.
Expected<std::string> readdress(std::string_view envelope, std::string_view queue);

// With a null `eta` header: the task may run at once. As it was when it has no `eta`.
Expected<std::string> without_eta(std::string_view envelope);

}  // namespace celeriac
