// From a URL to libpq's keywords.
#include "queues/postgres/connection.hpp"
#include "queues/postgres/libpq.hpp"

#include <memory>
#include <set>

namespace celeriac::pg {
namespace {

const std::set<std::string, std::less<>>& known_keywords() {
  static const auto names = [] {
    std::set<std::string, std::less<>> out;
    std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> all(libpq().PQconndefaults(),
                                                                       libpq().PQconninfoFree);
    for (auto* option = all.get(); option && option->keyword; ++option) out.insert(option->keyword);
    return out;
  }();
  return names;
}

bool is_postgres(std::string_view scheme) {
  for (std::string_view prefix : {"django-db+", "db+"})
    if (scheme.starts_with(prefix)) scheme.remove_prefix(prefix.size());
  scheme = scheme.substr(0, scheme.find('+'));  // the Python driver does not matter to us
  return scheme == "postgresql" || scheme == "postgres";
}

// What a caller may override in the URL: a dead peer is noticed within a minute, and
// Kerberos, which could block the loop, is not tried unasked.
const std::pair<const char*, const char*> our_defaults[] = {
    {"application_name", "celeriac"}, {"gssencmode", "disable"}, {"keepalives_idle", "30"},
    {"keepalives_interval", "10"},    {"keepalives_count", "3"}, {"tcp_user_timeout", "30000"},
};

}  // namespace

Expected<ConnectionOptions> connection_options(const Url& url) {
  if (!is_postgres(url.scheme))
    return unexpected("'" + url.display() + "': expected a scheme like db+postgresql or postgresql");
  if (const auto& loaded = load_functions<Libpq>(); !loaded) return tl::unexpected(loaded.error());
  ConnectionOptions out;
  std::map<std::string, std::string> parameters;
  for (auto& [name, value] : our_defaults) parameters[name] = value;
  for (auto& [name, value] : url.query) {
    if (!known_keywords().contains(name))
      return unexpected("'" + url.display() + "': PostgreSQL has no connection parameter '" + name + "'");
    parameters[name] = value;
  }
  if (!url.user.empty()) parameters["user"] = url.user;
  if (!url.password.empty()) parameters["password"] = url.password;
  if (url.path.size() > 1) parameters["dbname"] = url.path.substr(1);
  parameters["client_encoding"] = "UTF8";

  out.host = url.host;
  if (auto it = parameters.find("host"); it != parameters.end()) out.host = it->second;
  if (url.port) out.port = std::to_string(url.port);
  if (auto it = parameters.find("port"); it != parameters.end()) out.port = it->second;
  if (auto it = parameters.find("connect_timeout"); it != parameters.end()) {
    int seconds = 0;
    try {
      seconds = std::stoi(it->second);
    } catch (const std::exception&) {
      return unexpected("'" + url.display() + "': connect_timeout is not a number of seconds");
    }
    if (seconds > 0) out.connect_timeout = std::chrono::seconds(seconds);
  }
  for (auto* handled : {"host", "port", "connect_timeout"}) parameters.erase(handled);
  out.parameters.assign(parameters.begin(), parameters.end());
  return out;
}

}  // namespace celeriac::pg
