#include "tasks/engines/public_address.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace celeriac {
namespace {

struct Range {
  std::uint32_t network;
  int bits;
};

// IANA's special-purpose registry, what is not globally reachable of it.
constexpr std::array<Range, 16> not_public = {{
    {0x00000000, 8},   // this network
    {0x0A000000, 8},   // private
    {0x64400000, 10},  // shared, of carriers
    {0x7F000000, 8},   // loopback
    {0xA9FE0000, 16},  // link-local; metadata services of clouds
    {0xAC100000, 12},  // private
    {0xC0000000, 24},  // protocol assignments
    {0xC0000200, 24},  // documentation
    {0xC0586300, 24},  // 6to4 relays
    {0xC0A80000, 16},  // private
    {0xC6120000, 15},  // benchmarks
    {0xC6336400, 24},  // documentation
    {0xCB007100, 24},  // documentation
    {0xE0000000, 4},   // multicast
    {0xF0000000, 4},   // reserved
    {0xFFFFFFFF, 32},  // broadcast
}};

bool is_public(std::uint32_t address) {
  return std::ranges::none_of(not_public, [address](const Range& range) {
    return (address >> (32 - range.bits)) == (range.network >> (32 - range.bits));
  });
}

std::uint32_t four(const std::uint8_t* bytes) {
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 |
         bytes[3];
}

bool is_public(const std::array<std::uint8_t, 16>& bytes) {
  const auto begins = [&](std::initializer_list<std::uint8_t> prefix) {
    return std::equal(prefix.begin(), prefix.end(), bytes.begin());
  };
  if (begins({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF})) return is_public(four(&bytes[12]));  // mapped
  if (begins({0x20, 0x02})) return is_public(four(&bytes[2]));                                 // 6to4
  if ((bytes[0] & 0xE0) != 0x20) return false;         // outside of global unicast
  if (begins({0x20, 0x01, 0x00, 0x00})) return false;  // Teredo hides an IPv4 address
  if (begins({0x20, 0x01, 0x0D, 0xB8})) return false;  // documentation
  return !(begins({0x20, 0x01}) && bytes[2] < 0x02);   // protocol assignments
}

}  // namespace

bool is_public_address(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, address, sizeof v4);
    return is_public(ntohl(v4.sin_addr.s_addr));
  }
  if (address->sa_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, address, sizeof v6);
    std::array<std::uint8_t, 16> bytes;
    std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
    return is_public(bytes);
  }
  return false;
}

}  // namespace celeriac
