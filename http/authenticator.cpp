#include "http/authenticator.hpp"

#include "http/rows.hpp"
#include "http/token.hpp"

#include <openssl/evp.h>
#include <algorithm>

namespace celeriac::http {
Expected<TokenVerifier> TokenVerifier::create(const std::string& algorithm, const std::string& key) {
  if (algorithm == "HS256" && !key.empty() && key.size() < 32)
    return unexpected("http_jwt_key: a secret for HS256 has at least 32 bytes");
  if (!key.empty())
    if (auto loaded = load_token_module(); !loaded) return unexpected("http_jwt_key: " + loaded.error().what);
  TokenVerifier verifier;
  verifier.algorithm_ = algorithm;
  verifier.key_ = key;
  return verifier;
}

Expected<Caller> TokenVerifier::verify(const std::string& token, double now) const {
  if (key_.empty()) return unexpected("no http_jwt_key is configured");
  if (token.size() > 8192) return unexpected("the token is too long");
  const auto claims = read_token(token, algorithm_, key_);
  if (!claims) return tl::unexpected(claims.error());
  if (claims->exp <= 0) return unexpected("the token has no exp");
  if (static_cast<double>(claims->exp) <= now) return unexpected("the token has expired");
  if (static_cast<double>(claims->nbf) > now + 60) return unexpected("the token is not valid yet");
  if (!claims->sub || !is_uuid(*claims->sub)) return unexpected("the token's sub is no UUID");
  Caller caller;
  caller.user_id = *claims->sub;
  caller.role = claims->role == "admin" ? "admin" : "user";
  if (claims->tasks) {
    auto tasks = parse_json(*claims->tasks, {65536, 4});
    if (!tasks || !tasks->is_array()) return unexpected("the token's tasks are no array");
    for (const auto& name : *tasks) {
      if (!name.is_string()) return unexpected("the token's tasks are no names");
      caller.tasks.push_back(name.get<std::string>());
    }
  }
  return caller;
}

Credential credential(const Request& request, const Route& route) {
  const auto& header = request.header("authorization");
  if (header.starts_with("Bearer ")) return {header.substr(7), {}};
  // A browser cannot set headers of a WebSocket, but name protocols: "celeriac, bearer.TOKEN".
  const auto& protocols = request.header("sec-websocket-protocol");
  if (const auto at = protocols.find("bearer."); header.empty() && at != protocols.npos)
    return {protocols.substr(at + 7, protocols.find(',', at) - at - 7), {}};
  if (!route.page || !header.starts_with("Basic ")) return {{}, request.header("x-api-key")};
  const std::string_view coded = std::string_view(header).substr(6);
  std::string text(coded.size() / 4 * 3 + 3, '\0');
  const int size = coded.size() > 12000
                       ? -1
                       : EVP_DecodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                         reinterpret_cast<const unsigned char*>(coded.data()),
                                         static_cast<int>(coded.size()));
  if (size < 0) return {};
  text.resize(static_cast<std::size_t>(size));
  while (!text.empty() && text.back() == '\0') text.pop_back();  // what padding stood for
  const auto colon = text.find(':');
  auto password = colon == text.npos ? std::string() : text.substr(colon + 1);
  // A token is three texts joined by dots; keys have none.
  if (std::count(password.begin(), password.end(), '.') == 2) return {std::move(password), {}};
  return {{}, std::move(password)};
}

}  // namespace celeriac::http
