// Who asks: a JWT in `Authorization: Bearer`, of the one algorithm that is configured, or an API key in
// `X-API-Key`, of which the database knows only the SHA-256.
#pragma once

#include "http/exchange.hpp"
#include "http/router.hpp"
#include "protocol/error.hpp"

#include <string>

namespace celeriac::http {

class TokenVerifier {
 public:
  // `key`: the secret (HS256, at least 32 bytes) or the public key in PEM (RS256). An empty key refuses
  // every token.
  static Expected<TokenVerifier> create(const std::string& algorithm, const std::string& key);

  // `now` in Unix seconds. Claims: sub (the user's UUID) and exp are required; nbf, role ("user" unless
  // "admin") and tasks (names, "*") are honoured. The Error is for the log, not for the caller.
  Expected<Caller> verify(const std::string& token, double now) const;

 private:
  std::string algorithm_, key_;
};

// What a request shows to prove its caller: one of the two, or neither. Pages take either as the password
// of a browser's prompt, too.
struct Credential {
  std::string token, key;
};
Credential credential(const Request& request, const Route& route);

}  // namespace celeriac::http
