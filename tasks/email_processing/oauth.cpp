#include "tasks/email_processing/oauth.hpp"

#include "protocol/time.hpp"
#include "tasks/engines/http.hpp"
#include "tasks/store/text_values.hpp"
#include "worker/errors.hpp"

namespace celeriac {
namespace {

constexpr double spare = 60;  // seconds before its end a token is renewed

// Of kombu's {"__type__": "datetime", "__value__": ...} and of a plain text.
std::string text_of(const Json& data, const char* key) {
  const auto found = data.find(key);
  if (found == data.end() || found->is_null()) return {};
  if (found->is_string()) return found->get<std::string>();
  if (found->is_object() && found->contains("__value__") && found->at("__value__").is_string())
    return found->at("__value__").get<std::string>();
  throw BadArguments(std::string("credentials_data: '") + key + "' must be a string");
}

}  // namespace

OAuthCredentials read_credentials(const Json& data) {
  if (!data.is_object()) throw BadArguments("credentials_data must be an object");
  OAuthCredentials out;
  out.token = text_of(data, "token");
  out.refresh_token = text_of(data, "refresh_token");
  if (const std::string uri = text_of(data, "token_uri"); !uri.empty()) out.token_uri = uri;
  out.client_id = text_of(data, "client_id");
  out.client_secret = text_of(data, "client_secret");
  const std::string expiry = text_of(data, "expiry");
  if (!expiry.empty()) {
    const auto moment = parse_iso8601(expiry);
    if (!moment) throw BadArguments("credentials_data: 'expiry' is no time");
    out.expires_at = *moment;
  }
  if (out.token.empty() && out.refresh_token.empty())
    throw BadArguments("credentials_data holds neither 'token' nor 'refresh_token'");
  return out;
}

const std::string& AccessToken::get(const Cancelled& cancelled) {
  const bool ended = credentials_.expires_at > 0 && unix_now() > credentials_.expires_at - spare;
  if (!credentials_.token.empty() && !ended) return credentials_.token;
  if (credentials_.refresh_token.empty())
    throw EmailError(EmailFailureKind::auth, "the access token has ended and there is no refresh token");
  HttpRequest request;
  request.method = "POST";
  request.url = credentials_.token_uri;
  request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
  request.body = "grant_type=refresh_token&refresh_token=" + url_encode(credentials_.refresh_token) +
                 "&client_id=" + url_encode(credentials_.client_id) +
                 "&client_secret=" + url_encode(credentials_.client_secret);
  request.deadline = std::chrono::seconds(30);
  request.max_body = 64 << 10;
  const HttpResult result = http_fetch(std::move(request), cancelled);
  if (!result) throw EmailError(EmailFailureKind::unavailable, result.error().message);
  const auto body = parse_json(result->body);
  const bool readable = body && body->is_object();
  if (result->status >= 500 || result->status == 429)
    throw EmailError(EmailFailureKind::unavailable,
                     shown_url(credentials_.token_uri) + " answered " + std::to_string(result->status));
  if (result->status != 200 || !readable || !body->contains("access_token") ||
      !body->at("access_token").is_string()) {
    const std::string why = readable && body->contains("error") && body->at("error").is_string()
                                ? clean_text(body->at("error").get<std::string>(), 100)
                                : std::to_string(result->status);
    throw EmailError(EmailFailureKind::auth, "the refresh token is not accepted: " + why);
  }
  credentials_.token = body->at("access_token").get<std::string>();
  const auto seconds = body->find("expires_in");
  credentials_.expires_at =
      seconds != body->end() && seconds->is_number() ? unix_now() + seconds->get<double>() : 0;
  ++refreshes_;
  return credentials_.token;
}

}  // namespace celeriac
