// Which handler a request goes to: by method and path, with {names} for single segments.
#pragma once

#include "http/exchange.hpp"

#include <functional>
#include <string>
#include <vector>

namespace celeriac::http {

enum class Access {
  anybody,
  user,  // a proven caller
  admin,
};

struct Route {
  std::string method, path;  // "/api/v1/tasks/{id}"
  Access access = Access::user;
  std::string summary;  // for the API description
  // Runs on the loop; answers once, at once or later.
  std::function<void(Request, Respond)> handle;
  bool upload = false;  // a large body, spooled to a file
  bool page = false;    // for people: a browser may ask for the key or token as a password
};

class Router {
 public:
  void add(Route route) { routes_.push_back(std::move(route)); }
  const std::vector<Route>& routes() const { return routes_; }

  struct Match {
    const Route* route = nullptr;
    std::map<std::string, std::string> params;
    std::string allowed;  // when only the method does not fit: the methods that would
  };
  Match find(const std::string& method, const std::string& path) const;

 private:
  std::vector<Route> routes_;
};

}  // namespace celeriac::http
