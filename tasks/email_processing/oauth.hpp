// OAuth2 access tokens, refreshed when they end.
#pragma once

#include "protocol/json.hpp"
#include "tasks/email_processing/mailbox.hpp"

#include <string>

namespace celeriac {

struct OAuthCredentials {
  std::string token, refresh_token;  // either may be empty, not both
  std::string token_uri = "https://oauth2.googleapis.com/token";
  std::string client_id, client_secret;
  double expires_at = 0;  // Unix seconds; 0: not known
};

// The form in which Google's Python library gives them (`credentials_data`). Throws BadArguments.
OAuthCredentials read_credentials(const Json& data);

class AccessToken {
 public:
  explicit AccessToken(OAuthCredentials credentials) : credentials_(std::move(credentials)) {}

  // A token that is good for another minute as far as is known. Throws EmailError.
  const std::string& get(const Cancelled& cancelled);
  // The server said that it is not good.
  void expired() { credentials_.token.clear(); }
  int refreshes() const { return refreshes_; }

 private:
  OAuthCredentials credentials_;
  int refreshes_ = 0;
};

}  // namespace celeriac
