#include "queues/redis/router.hpp"

#include <algorithm>
#include <regex>

namespace celeriac::redis {
namespace {

// A pattern comes from a key that any client may write: its length bounds the matcher's recursion.
bool matches(std::string_view pattern, std::string_view key) {
  if (pattern.size() > 256 || key.size() > 256) return false;
  try {
    return std::regex_search(std::string(key), std::regex(std::string(pattern)),
                             std::regex_constants::match_continuous);
  } catch (const std::regex_error&) {
    return false;  // not a pattern of ours or kombu's
  }
}

}  // namespace

std::vector<std::string> bound_queues(const std::vector<std::string>& members, std::string_view routing_key,
                                      std::string_view separator) {
  std::vector<std::string> queues;
  for (std::string_view member : members) {
    const auto first = member.find(separator);
    if (first == member.npos) continue;
    const auto rest = member.substr(first + separator.size());
    const auto second = rest.find(separator);
    if (second == rest.npos) continue;
    const auto key = member.substr(0, first), pattern = rest.substr(0, second);
    std::string queue(rest.substr(second + separator.size()));
    const bool bound = pattern.empty() ? key == routing_key : matches(pattern, routing_key);
    if (bound && std::find(queues.begin(), queues.end(), queue) == queues.end())
      queues.push_back(std::move(queue));
  }
  return queues;
}

void Router::route(const std::string& exchange, const std::string& routing_key,
                   std::function<void(std::vector<std::string>)> found) {
  if (exchange.empty()) return found({routing_key});
  Request request;
  request.add("SMEMBERS", keys_.binding(exchange));
  outbox_.send(std::move(request), [this, routing_key, found = std::move(found)](Reply reply) {
    std::vector<std::string> members;
    for (std::size_t i = 0; i < reply.size(); ++i) members.emplace_back(reply[i].text());
    std::sort(members.begin(), members.end());
    found(bound_queues(members, routing_key, keys_.separator()));
  });
}

}  // namespace celeriac::redis
