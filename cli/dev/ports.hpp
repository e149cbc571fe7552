// Loopback ports for the private servers.
#pragma once

#include "protocol/error.hpp"

#include <cstdint>
#include <optional>

namespace celeriac::dev {

// `wanted` when given (an Error when something listens there), else `last` when it is free, else a free one.
Expected<std::uint16_t> choose_port(std::optional<std::uint16_t> wanted, std::uint16_t last);

}  // namespace celeriac::dev
