#include "http/pages/forms.hpp"

#include "http/pages/html.hpp"
#include "tasks/store/digest.hpp"

#include <openssl/crypto.h>
#include <boost/url/params_view.hpp>
#include <boost/url/parse_query.hpp>

namespace celeriac::http {
namespace {

constexpr std::size_t most_fields = 2000;

// "https://example.com:8000" -> "example.com:8000"
std::string_view host_of(std::string_view origin) {
  const auto at = origin.find("://");
  return at == origin.npos ? std::string_view() : origin.substr(at + 3);
}

}  // namespace

std::optional<FormValues> FormValues::read(std::string_view body) {
  FormValues form;
  if (body.empty()) return form;
  const auto parsed = boost::urls::parse_query(body);
  if (!parsed || parsed->size() > most_fields) return std::nullopt;
  const boost::urls::params_view decoded(body, boost::urls::encoding_opts(true));
  for (const auto& field : decoded) form.values_.emplace_back(field.key, field.value);
  return form;
}

const std::string& FormValues::operator[](std::string_view name) const {
  static const std::string none;
  for (const auto& [key, value] : values_)
    if (key == name) return value;
  return none;
}

std::vector<std::string> FormValues::all(std::string_view name) const {
  std::vector<std::string> out;
  for (const auto& [key, value] : values_)
    if (key == name) out.push_back(value);
  return out;
}

std::string form_token(std::string_view credential) {
  return hexadecimal(hmac_sha256(credential, "a form of a celeriac page"));
}

bool from_our_page(const Request& request, std::string_view given) {
  const auto& site = request.header("sec-fetch-site");
  if (!site.empty() && site != "same-origin" && site != "none") return false;
  const auto& origin = request.header("origin");
  // "null": the page was served with a policy that hides it, as ours are. The token decides.
  if (!origin.empty() && origin != "null" && host_of(origin) != request.header("host")) return false;
  const auto& token = request.form_token;
  return !token.empty() && given.size() == token.size() &&
         CRYPTO_memcmp(given.data(), token.data(), token.size()) == 0;
}

std::string hidden_field(std::string_view name, std::string_view value) {
  return "<input type=hidden name=\"" + escaped(name) + "\" value=\"" + escaped(value) + "\">";
}

std::string post_form(const Request& request, std::string_view action, const std::string& inside,
                      std::string_view css_class) {
  return "<form method=post action=\"" + escaped(action) + "\" class=\"" + escaped(css_class) + "\">" +
         hidden_field("form", request.form_token) + inside + "</form>\n";
}

std::string button_form(const Request& request, std::string_view action,
                        const std::vector<std::pair<std::string, std::string>>& hidden,
                        std::string_view label, std::string_view css_class) {
  std::string inside;
  for (const auto& [name, value] : hidden) inside += hidden_field(name, value);
  return post_form(request, action,
                   inside + "<button class=\"" + escaped(css_class) + "\">" + escaped(label) + "</button>",
                   "inline");
}

}  // namespace celeriac::http
