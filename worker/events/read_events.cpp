#include "worker/events/read_events.hpp"

namespace celeriac {

Expected<std::vector<Json>> read_events(const Message& message) {
  auto body = parse_json(message.body);
  if (!body) return tl::unexpected(body.error());
  std::vector<Json> events;
  if (body->is_array()) {
    for (Json& event : *body)
      if (event.is_object()) events.push_back(std::move(event));
  } else if (body->is_object()) {
    events.push_back(std::move(*body));
  }
  return events;
}

}  // namespace celeriac
