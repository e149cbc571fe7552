// Tells systemd (Type=notify) how far we are. Nothing happens without NOTIFY_SOCKET.
#pragma once

#include <string_view>

namespace celeriac {

// "READY=1", "STOPPING=1", "STATUS=..."
void notify_service_manager(std::string_view state);

}  // namespace celeriac
