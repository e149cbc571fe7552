#include "queues/redis/connection.hpp"

#include <charconv>
#include <cmath>

namespace celeriac::redis {
namespace {

std::chrono::milliseconds to_milliseconds(double seconds) {
  return std::chrono::milliseconds(std::llround(seconds * 1000));
}

Expected<int> database(std::string_view text) {
  while (!text.empty() && text.front() == '/') text.remove_prefix(1);
  if (text.empty()) return 0;
  int db = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), db);
  if (error != std::errc() || end != text.data() + text.size() || db < 0)
    return unexpected("Redis URL: the database must be a number, not '" + std::string(text) + "'");
  return db;
}

Expected<bool> verification(const std::string& word) {
  if (word == "required" || word == "CERT_REQUIRED" || word == "optional" || word == "CERT_OPTIONAL")
    return true;
  if (word == "none" || word == "CERT_NONE") return false;
  return unexpected("Redis URL: ssl_cert_reqs must be required, optional or none, not '" + word + "'");
}

}  // namespace

Expected<ConnectionOptions> connection_options(const Url& url, const RedisOptions& redis,
                                               const TlsOptions& tls) {
  ConnectionOptions options;
  auto query = [&](const char* key) -> const std::string* {
    auto found = url.query.find(key);
    return found == url.query.end() ? nullptr : &found->second;
  };

  const bool socket = url.scheme == "redis+socket" || url.scheme == "unix" || url.scheme == "socket";
  options.endpoint.tls = url.scheme == "rediss" || url.scheme == "redis+ssl";
  if (!socket && !options.endpoint.tls && url.scheme != "redis")
    return unexpected("'" + url.scheme + "' is no Redis URL scheme (redis, rediss, redis+socket)");
  if (socket) {
    if (url.path.empty()) return unexpected("Redis URL: the socket's path is missing");
    options.endpoint.path = url.path;
  } else {
    options.endpoint.host = url.host.empty() ? "localhost" : url.host;
    options.endpoint.port = url.port ? url.port : 6379;
  }

  const std::string* db_text = query("virtual_host");
  if (!db_text) db_text = query("db");
  auto db = database(db_text  ? std::string_view(*db_text)
                     : socket ? std::string_view()
                              : std::string_view(url.path));
  if (!db) return tl::unexpected(db.error());
  options.db = *db;

  options.endpoint.tls_options = tls;
  if (auto* word = query("ssl_cert_reqs")) {
    auto verify = verification(*word);
    if (!verify) return tl::unexpected(verify.error());
    options.endpoint.tls_options.verify = *verify;
  }
  if (auto* file = query("ssl_ca_certs")) options.endpoint.tls_options.ca_certs = *file;
  if (auto* file = query("ssl_certfile")) options.endpoint.tls_options.certfile = *file;
  if (auto* file = query("ssl_keyfile")) options.endpoint.tls_options.keyfile = *file;

  options.user = url.user;
  options.password = url.password;
  options.connect_timeout = to_milliseconds(redis.socket_connect_timeout);
  options.socket_timeout = to_milliseconds(redis.socket_timeout);
  return options;
}

}  // namespace celeriac::redis
