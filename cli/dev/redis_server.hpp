// The private Redis of `celeriac dev`.
#pragma once

#include "cli/dev/folder.hpp"
#include "cli/dev/supervisor.hpp"

#include <cstdint>
#include <string>

namespace celeriac::dev {

// Append-only, so that messages survive everything; on 127.0.0.1 and a Unix socket.
Expected<Supervisor::Service> redis_service(const Folder& folder, const std::string& program,
                                            std::uint16_t port);

// A server of an earlier run that still ends (its parent was killed): waits until it is gone. `pid_file` is
// believed only when that process runs in `directory`.
Expected<void> wait_for_previous(const std::string& pid_file, const std::string& directory);

}  // namespace celeriac::dev
