#include "http/token.hpp"

#include "tasks/engines/load_module.hpp"

namespace celeriac::http {
namespace {

const Expected<void*>& module() {
  static const Expected<void*> found = load_module("celeriac_jwt.so", "celeriac_read_token");
  return found;
}

}  // namespace

Expected<void> load_token_module() {
  if (!module()) return tl::unexpected(module().error());
  return {};
}

Expected<Claims> read_token(const std::string& token, const std::string& algorithm, const std::string& key) {
  using Read = void (*)(const std::string&, const std::string&, const std::string&, Expected<Claims>&);
  if (!module()) return tl::unexpected(module().error());
  Expected<Claims> claims;
  reinterpret_cast<Read> (*module())(token, algorithm, key, claims);
  return claims;
}

}  // namespace celeriac::http
