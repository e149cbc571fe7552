#include "queues/amqp/url.hpp"

#include <unistd.h>
#include <boost/asio/ip/host_name.hpp>
#include <charconv>
#include <cmath>

namespace celeriac::amqp {
namespace {

constexpr std::uint16_t plain_port = 5672, tls_port = 5671;

class Query {
 public:
  explicit Query(const Url& url) : url_(url) {}

  const std::string* text(std::string_view key) {
    const auto found = url_.query.find(std::string(key));
    return found == url_.query.end() ? nullptr : &found->second;
  }
  // Leaves `out` alone when the key is absent.
  template <class T>
  void number(std::string_view key, T& out, T most) {
    const auto* value = text(key);
    if (!value) return;
    T number{};
    auto [end, error] = std::from_chars(value->data(), value->data() + value->size(), number);
    if (error != std::errc() || end != value->data() + value->size() || number > most)
      problem_ =
          std::string(key) + " must be a number from 0 to " + std::to_string(most) + ", not '" + *value + "'";
    else
      out = number;
  }
  void copy(std::string_view key, std::string& out) {
    if (const auto* value = text(key)) out = *value;
  }
  void verification(std::string_view key, bool& out) {
    const auto* value = text(key);
    if (!value) return;
    if (*value == "required" || *value == "CERT_REQUIRED" || *value == "optional" ||
        *value == "CERT_OPTIONAL" || *value == "verify_peer")
      out = true;
    else if (*value == "none" || *value == "CERT_NONE" || *value == "verify_none")
      out = false;
    else
      problem_ = std::string(key) +
                 " must be required, optional or none (or verify_peer, verify_none), not '" + *value + "'";
  }
  const std::string& problem() const { return problem_; }

 private:
  const Url& url_;
  std::string problem_;
};

Expected<Server> read_server(const Url& url, const Settings& settings) {
  if (url.scheme != "amqp" && url.scheme != "amqps" && url.scheme != "pyamqp" && url.scheme != "librabbitmq")
    return unexpected("broker_url: '" + url.scheme + "' in " + url.display() +
                      " is no AMQP URL scheme (amqp, amqps)");
  Server server;
  server.display = url.display();
  server.endpoint.tls = url.scheme == "amqps" || settings.broker_use_ssl.wanted;
  server.endpoint.host = url.host.empty() || url.host == "localhost" ? "127.0.0.1" : url.host;
  server.endpoint.port = url.port ? url.port : server.endpoint.tls ? tls_port : plain_port;
  server.endpoint.tls_options = settings.broker_use_ssl;
  if (url.host == "localhost" && server.endpoint.tls_options.server_hostname.empty())
    server.endpoint.tls_options.server_hostname = "localhost";  // the name its certificate has
  auto& session = server.session;
  if (!url.user.empty()) session.user = url.user;
  if (!url.user.empty() || !url.password.empty()) session.password = url.password;
  // Celery takes "" and "/" as the default vhost, "//" as its full spelling, "/name" as "name".
  if (url.path.size() > 1) session.vhost = url.path.substr(1);
  session.heartbeat = static_cast<unsigned>(std::lround(settings.broker_heartbeat));
  session.login_method = settings.broker_login_method;

  double timeout = settings.broker_connection_timeout;
  Query query(url);
  query.number("heartbeat", session.heartbeat, 65535u);
  query.number("connect_timeout", timeout, 3600.0);
  query.number("connection_timeout", timeout, 3600.0);
  query.number<std::uint16_t>("channel_max", session.channel_max, 65535);
  query.number<std::uint32_t>("frame_max", session.frame_max, 16u << 20);
  query.copy("login_method", session.login_method);
  auto& tls = server.endpoint.tls_options;
  query.verification("ssl_cert_reqs", tls.verify);
  query.verification("verify", tls.verify);
  for (const char* key : {"ssl_ca_certs", "cacertfile"}) query.copy(key, tls.ca_certs);
  for (const char* key : {"ssl_certfile", "certfile"}) query.copy(key, tls.certfile);
  for (const char* key : {"ssl_keyfile", "keyfile"}) query.copy(key, tls.keyfile);
  query.copy("server_name_indication", tls.server_hostname);
  if (!query.problem().empty()) return unexpected("broker_url " + url.display() + ": " + query.problem());
  const auto& method = session.login_method;
  if (method != "PLAIN" && method != "AMQPLAIN" && method != "EXTERNAL")
    return unexpected("login_method must be PLAIN, AMQPLAIN or EXTERNAL, not '" + method + "'");
  server.connect_timeout = std::chrono::milliseconds(std::llround(timeout * 1000));
  boost::system::error_code unknown;
  session.connection_name =
      "celeriac " + boost::asio::ip::host_name(unknown) + "/" + std::to_string(getpid());
  return server;
}

}  // namespace

Expected<std::vector<Server>> read_servers(const Settings& settings) {
  std::vector<Server> servers;
  const std::string& list = settings.broker_url;
  for (std::size_t begin = 0; begin <= list.size();) {
    const auto end = std::min(list.find(';', begin), list.size());
    auto url = parse_url(std::string_view(list).substr(begin, end - begin));
    if (!url) return tl::unexpected(url.error());
    auto server = read_server(*url, settings);
    if (!server) return tl::unexpected(server.error());
    servers.push_back(std::move(*server));
    begin = end + 1;
  }
  return servers;
}

}  // namespace celeriac::amqp
