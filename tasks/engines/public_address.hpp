// Which addresses belong to the public internet: where a URL of a stranger's may lead.
#pragma once

struct sockaddr;

namespace celeriac {

// False for loopback, private, link-local, shared, multicast, reserved and documentation addresses, for IPv6
// that wraps such an IPv4 address or cannot be judged, and for any other family.
bool is_public_address(const sockaddr* address);

}  // namespace celeriac
