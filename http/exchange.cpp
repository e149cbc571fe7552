#include "http/exchange.hpp"

#include <openssl/evp.h>
#include <array>
#include <boost/beast/http/status.hpp>
#include <boost/url/params_view.hpp>
#include <boost/url/parse_query.hpp>
#include <boost/url/pct_string_view.hpp>

namespace celeriac::http {

const std::string& Request::header(const std::string& name) const {
  static const std::string none;
  const auto found = headers.find(name);
  return found == headers.end() ? none : found->second;
}

std::map<std::string, std::string> Request::query_values() const {
  std::map<std::string, std::string> out;
  if (!boost::urls::parse_query(query)) return out;
  // As browsers send forms: a plus is a space.
  const boost::urls::params_view pairs(query, boost::urls::encoding_opts(true));
  for (const auto& pair : pairs) out.emplace(pair.key, pair.value);
  return out;
}

Response json(unsigned status, const Json& body) {
  Response response;
  response.status = status;
  response.body = dump_json(body) + "\n";
  return response;
}

Response problem(unsigned status, std::string_view type, std::string_view title, std::string_view detail) {
  Json body = Json::object();
  body["type"] = "urn:celeriac:problem:" + std::string(type);
  body["title"] = title;
  body["status"] = status;
  if (!detail.empty()) body["detail"] = detail;
  auto response = json(status, body);
  response.content_type = "application/problem+json";
  return response;
}

std::string sha256_hex(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr);
  std::string out;
  for (unsigned i = 0; i < size; ++i) {
    out += "0123456789abcdef"[digest[i] >> 4];
    out += "0123456789abcdef"[digest[i] & 15];
  }
  return out;
}

std::string entity_tag(std::string_view body) { return '"' + sha256_hex(body).substr(0, 32) + '"'; }

tl::expected<Json, Response> json_body(const Request& request) {
  if (request.body.empty()) return Json::object();
  if (!request.header("content-type").starts_with("application/json"))
    return tl::unexpected(problem(415, "unsupported-type", "The body must be application/json"));
  auto body = parse_json(request.body, {1u << 20, 64});
  if (!body) return tl::unexpected(problem(400, "not-json", "The body is not JSON", body.error().what));
  return std::move(*body);
}

std::optional<std::string> percent_decoded(std::string_view text) {
  const auto encoded = boost::urls::make_pct_string_view(text);
  if (!encoded) return std::nullopt;
  std::string out;
  encoded->decode({}, boost::urls::string_token::assign_to(out));
  if (out.find('\0') != out.npos) return std::nullopt;
  return out;
}

}  // namespace celeriac::http
