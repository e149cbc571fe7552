#include "tasks/aliases/fetch_document.hpp"

#include "tasks/engines/http.hpp"
#include "tasks/store/slot_database.hpp"

#include <boost/url/parse.hpp>
#include <boost/url/url.hpp>

#include <algorithm>

namespace celeriac {
namespace {

std::string failure_of(HttpFailure kind) {
  switch (kind) {
    case HttpFailure::too_large:
      return "DocumentTooLarge";
    case HttpFailure::refused:
    case HttpFailure::malformed:
    case HttpFailure::tls:
      return "SourceRefused";
    default:
      return "StorageUnavailable";
  }
}

std::string failure_of(int status) {
  if (status == 404 || status == 410) return "DocumentNotFound";
  return status == 408 || status == 429 || status >= 500 ? "StorageUnavailable" : "SourceRefused";
}

}  // namespace

std::string fetch_document(Context& context, const ProcessingConfig& config,
                           const std::vector<std::string>& hosts, const std::string& url) {
  const auto parsed = boost::urls::parse_absolute_uri(url);
  if (!parsed || (parsed->scheme() != "http" && parsed->scheme() != "https") || parsed->host().empty())
    throw invoice_error("SourceRefused", "the document's address is no http:// or https:// URL");
  if (parsed->has_userinfo()) throw invoice_error("SourceRefused", "the document's address holds a password");
  HttpRequest request;
  request.url = url;
  request.public_only = std::ranges::none_of(
      hosts, [&](const std::string& host) { return host == "*" || host == parsed->host(); });
  request.max_body = config.max_bytes;
  request.deadline = config.soft_limit / 2;
  const HttpResult answer = http_fetch(std::move(request), [&] { return context.soft_limit_exceeded(); });
  context.checkpoint();
  if (!answer) {
    const bool refused = answer.error().kind == HttpFailure::refused;
    throw invoice_error(failure_of(answer.error().kind),
                        answer.error().message + (refused ? "; document_hosts can name its host" : ""));
  }
  if (answer->status < 200 || answer->status > 299)
    throw invoice_error(failure_of(answer->status),
                        shown_url(url) + " answered " + std::to_string(answer->status));
  return answer->body;
}

}  // namespace celeriac
