// A JSON Web Token whose signature has been proven. libjwt lives in a module (celeriac_jwt.so), so that
// workers do not carry it.
#pragma once

#include "protocol/error.hpp"

#include <optional>
#include <string>

namespace celeriac::http {

struct Claims {
  std::optional<std::string> sub, role;
  std::optional<std::string> tasks;  // JSON text
  long exp = 0, nbf = 0;             // Unix seconds; 0: not there
};

// `algorithm`, HS256 or RS256, is the only one accepted: a token may not choose, or a public key taken for an
// HMAC secret would let anybody sign. Times are not judged here.
Expected<Claims> read_token(const std::string& token, const std::string& algorithm, const std::string& key);

// Whether tokens can be read at all; the Error says what is missing.
Expected<void> load_token_module();

}  // namespace celeriac::http
