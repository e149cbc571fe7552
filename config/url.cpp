#include "config/url.hpp"

#include <algorithm>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <cctype>
#include <charconv>

namespace celeriac {
namespace {

namespace urls = boost::urls;

constexpr std::size_t max_url = 8192;  // characters; a longer one is a mistake

// Where the password stands in the text as given. Worked out on text, not on a parsed URL, so that an
// error message about a broken URL can hide it too. The userinfo ends at the last '@': an unescaped '/' or
// '#' in a password is the usual reason for a broken URL.
struct Span {
  std::size_t begin = 0, size = 0;
};
Span password_in(std::string_view text) {
  auto start = text.find("://");
  if (start == std::string_view::npos) return {};
  start += 3;
  auto at = text.substr(0, text.find('?', start)).rfind('@');
  if (at == std::string_view::npos || at < start) return {};
  auto colon = text.find(':', start);
  if (colon == std::string_view::npos || colon > at) return {};
  return {colon + 1, at - colon - 1};
}

std::string hide_password(std::string_view text) {
  auto span = password_in(text);
  std::string out(text);
  if (span.size > 0) out.replace(span.begin, span.size, "**");
  for (std::string_view key : {"?password=", "&password="}) {
    auto found = out.find(key);
    if (found == std::string::npos) continue;
    auto value = found + key.size();
    auto end = out.find('&', value);
    out.replace(value, (end == std::string::npos ? out.size() : end) - value, "**");
  }
  return out;
}

tl::unexpected<Error> bad(std::string_view text, std::string why) {
  return unexpected("URL \"" + hide_password(text) + "\": " + std::move(why));
}

// What to say when the grammar refuses the text.
std::string explain(std::string_view text) {
  if (text.find("://") == std::string_view::npos)
    return "has no scheme; write for example redis://localhost:6379/0";
  auto span = password_in(text);
  auto password = text.substr(span.begin, span.size);
  if (password.find_first_of("/#?@[]%^ \"<>\\{}|`") != std::string_view::npos)
    return "the password holds a character that must be percent-encoded (@ %40, : %3A, / %2F, # %23, % %25, "
           "^ %5E, space %20)";
  return "is not a well-formed URL; write scheme://[user[:password]@]host[:port][/path][?key=value]";
}

}  // namespace

Expected<Url> parse_url(std::string_view text) {
  if (text.size() > max_url) return unexpected("URL: longer than 8192 characters");
  auto parsed = urls::parse_uri(text);
  if (!parsed) return bad(text, explain(text));
  const urls::url_view& view = *parsed;

  Url url;
  url.text = text;
  url.scheme = view.scheme();
  std::transform(url.scheme.begin(), url.scheme.end(), url.scheme.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  url.user = view.user();
  url.password = view.password();
  url.host = view.host();
  if (view.host_type() == urls::host_type::ipv6) url.host = url.host.substr(1, url.host.size() - 2);
  url.path = view.path();
  for (auto param : view.params()) url.query[param.key] = param.value;

  // An unescaped '/', '?' or '#' in a password ends the authority early; what follows still holds the '@'.
  auto authority = std::string_view(text).find("://");
  if (authority == std::string_view::npos) return bad(text, explain(text));
  if (view.has_fragment())
    return bad(text, "'#' starts a fragment, which has no meaning here; in a password write %23");
  if (!url.path.empty() && url.path[0] != '/') return bad(text, explain(text));
  if (url.path.find('@') != std::string::npos && url.user.empty() && !url.host.empty())
    return bad(text, "'@' after the path began; in a password write '/' as %2F and '@' as %40");
  if (view.has_port() && !view.port().empty()) {
    // Not port_number(): it lets 99999 through.
    auto port = view.port();
    auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), url.port);
    if (error != std::errc{} || end != port.data() + port.size() || url.port == 0)
      return bad(text, "the port must be between 1 and 65535");
  }
  return url;
}

std::string Url::display() const { return hide_password(text); }

}  // namespace celeriac
