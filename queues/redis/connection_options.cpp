#include "queues/redis/connection.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

namespace celeriac::redis {

std::chrono::milliseconds to_milliseconds(double seconds) {
  return std::chrono::milliseconds(std::llround(seconds * 1000));
}

namespace {

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

namespace {

constexpr std::uint16_t sentinel_port = 26379;

std::vector<std::string_view> split_urls(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const auto semicolon = std::min(text.find(';'), text.size());
    auto url = text.substr(0, semicolon);
    while (url.starts_with(' ')) url.remove_prefix(1);
    while (url.ends_with(' ')) url.remove_suffix(1);
    if (!url.empty()) out.push_back(url);
    text.remove_prefix(std::min(semicolon + 1, text.size()));
  }
  return out;
}

Expected<ConnectionOptions> through_sentinels(std::string_view text, const RedisOptions& redis,
                                              const TlsOptions& tls) {
  Url master;
  master.scheme = "redis";
  SentinelOptions sentinels;
  for (const auto part : split_urls(text)) {
    auto url = parse_url(part);
    if (!url) return tl::unexpected(url.error());
    if (url->scheme != "sentinel")
      return unexpected("'" + url->display() + "': expected sentinel://host:port");
    Endpoint endpoint;
    endpoint.host = url->host.empty() ? "localhost" : url->host;
    endpoint.port = url->port ? url->port : sentinel_port;
    sentinels.endpoints.push_back(std::move(endpoint));
    if (master.user.empty()) master.user = url->user;
    if (master.password.empty()) master.password = url->password;
    if (master.path.size() < 2) master.path = url->path;
    master.query.merge(url->query);
  }
  if (redis.master_name.empty())
    return unexpected(
        "Redis Sentinel: the transport options must have 'master_name', the name under which "
        "the sentinels know the master");
  sentinels.master_name = redis.master_name;
  for (auto& [key, value] : redis.sentinel_kwargs) {
    if (key == "password")
      sentinels.password = value;
    else if (key == "username")
      sentinels.user = value;
    else
      return unexpected("Redis Sentinel: sentinel_kwargs takes username and password, not '" + key + "'");
  }
  auto options = connection_options(master, redis, tls);
  if (!options) return options;
  options->sentinels = std::move(sentinels);
  return options;
}

}  // namespace

bool is_redis_url(std::string_view text) {
  const auto scheme = text.substr(0, text.find("://"));
  for (auto* known : {"redis", "rediss", "redis+socket", "redis+ssl", "unix", "socket", "sentinel"})
    if (scheme == known) return true;
  return false;
}

Expected<ConnectionOptions> connection_options(std::string_view text, const RedisOptions& redis,
                                               const TlsOptions& tls) {
  if (text.starts_with("sentinel://")) return through_sentinels(text, redis, tls);
  auto url = parse_url(text);
  if (!url) return tl::unexpected(url.error());
  return connection_options(*url, redis, tls);
}

std::string display_urls(std::string_view text) {
  std::string out;
  for (const auto part : split_urls(text)) {
    const auto url = parse_url(part);
    out += (out.empty() ? "" : ";") + (url ? url->display() : "?");
  }
  return out;
}

}  // namespace celeriac::redis
