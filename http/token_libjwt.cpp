// Tokens by libjwt. Compiled into celeriac_jwt.so.
#include "http/token.hpp"

#include <jwt.h>

#include <cstdlib>
#include <memory>

namespace celeriac::http {
namespace {

struct FreeToken {
  void operator()(jwt_t* token) const noexcept { jwt_free(token); }
};
struct FreeText {
  void operator()(char* text) const noexcept { std::free(text); }
};

Expected<Claims> read_with_libjwt(const std::string& token, const std::string& algorithm,
                                  const std::string& key) {
  const auto wanted = algorithm == "RS256" ? JWT_ALG_RS256 : JWT_ALG_HS256;
  jwt_t* read = nullptr;
  if (jwt_decode(&read, token.c_str(), reinterpret_cast<const unsigned char*>(key.data()),
                 static_cast<int>(key.size())) != 0)
    return unexpected("the signature does not fit");
  const std::unique_ptr<jwt_t, FreeToken> jwt(read);
  if (jwt_get_alg(jwt.get()) != wanted) return unexpected("the token's algorithm is not " + algorithm);
  Claims claims;
  const auto text = [&](const char* name) -> std::optional<std::string> {
    const char* value = jwt_get_grant(jwt.get(), name);
    if (!value) return std::nullopt;
    return std::string(value);
  };
  claims.sub = text("sub");
  claims.role = text("role");
  const std::unique_ptr<char, FreeText> tasks(jwt_get_grants_json(jwt.get(), "tasks"));
  if (tasks) claims.tasks = std::string(tasks.get());
  claims.exp = jwt_get_grant_int(jwt.get(), "exp");
  claims.nbf = jwt_get_grant_int(jwt.get(), "nbf");
  return claims;
}

}  // namespace
}  // namespace celeriac::http

// C++ types on both sides: loader and module are built together.
extern "C" __attribute__((visibility("default"))) void celeriac_read_token(
    const std::string& token, const std::string& algorithm, const std::string& key,
    celeriac::Expected<celeriac::http::Claims>& out) {
  out = celeriac::http::read_with_libjwt(token, algorithm, key);
}
