// Which queues a message goes to: the one named by the routing key on the default
// exchange, else those bound to the exchange, as kombu's direct and topic exchanges do it.
#pragma once

#include "queues/redis/keys.hpp"
#include "queues/redis/outbox.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace celeriac::redis {

// `members` of _kombu.binding.<exchange>; `separator` as in Keys. A member with a pattern (a
// regular expression written by kombu) is matched against the key, one without by equality.
std::vector<std::string> bound_queues(const std::vector<std::string>& members, std::string_view routing_key,
                                      std::string_view separator);

class Router {
 public:
  Router(Outbox& outbox, const Keys& keys) : outbox_(outbox), keys_(keys) {}

  // Runs `found` at once for the default exchange.
  void route(const std::string& exchange, const std::string& routing_key,
             std::function<void(std::vector<std::string> queues)> found);

 private:
  Outbox& outbox_;
  const Keys& keys_;
};

}  // namespace celeriac::redis
