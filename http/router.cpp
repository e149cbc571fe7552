#include "http/router.hpp"

namespace celeriac::http {
namespace {

// Segment by segment; a trailing slash does not count.
bool fits(std::string_view pattern, std::string_view path, std::map<std::string, std::string>& params) {
  const auto next = [](std::string_view& rest) {
    rest.remove_prefix(1);
    const auto end = std::min(rest.find('/'), rest.size());
    const auto segment = rest.substr(0, end);
    rest.remove_prefix(end);
    return segment;
  };
  while (pattern.size() > 1 && pattern.back() == '/') pattern.remove_suffix(1);
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  while (!pattern.empty() && !path.empty()) {
    const auto wanted = next(pattern), given = next(path);
    if (wanted.size() > 2 && wanted.front() == '{') {
      if (given.empty()) return false;
      params[std::string(wanted.substr(1, wanted.size() - 2))] = given;
    } else if (wanted != given) {
      return false;
    }
  }
  return pattern.empty() && path.empty();
}

}  // namespace

Router::Match Router::find(const std::string& method, const std::string& path) const {
  Match match;
  if (path.empty() || path.front() != '/') return match;
  for (const auto& route : routes_) {
    std::map<std::string, std::string> params;
    if (!fits(route.path, path, params)) continue;
    if (route.method == method || (method == "HEAD" && route.method == "GET")) {
      match.route = &route;
      match.params = std::move(params);
      match.allowed.clear();
      return match;
    }
    match.allowed += (match.allowed.empty() ? "" : ", ") + route.method;
  }
  return match;
}

}  // namespace celeriac::http
