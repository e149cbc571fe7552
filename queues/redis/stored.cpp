#include "queues/redis/stored.hpp"

#include "protocol/envelope.hpp"
#include "protocol/json.hpp"

namespace celeriac::redis {
namespace {

constexpr std::string_view space = " \t\r\n";

// Length of the JSON value at the start of `text`, by its brackets and strings alone; 0 when it does
// not end. What is inside is not checked.
std::size_t value_length(std::string_view text) {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      if (depth == 0) return i;
      --depth;
    } else if (c == ',' && depth == 0) {
      return i;
    }
  }
  return 0;
}

}  // namespace

Expected<Stored> split_stored(std::string_view value) {
  const auto start = value.find_first_not_of(space);
  if (start == value.npos || value[start] != '[') return unexpected("unacked entry: not a JSON array");
  auto rest = value.substr(start + 1);
  const auto first = rest.find_first_not_of(space);
  if (first == rest.npos) return unexpected("unacked entry: cut off");
  rest.remove_prefix(first);
  const auto length = value_length(rest);
  if (length == 0 || rest[length] != ',') return unexpected("unacked entry: no exchange and routing key");

  auto names = parse_json("[" + std::string(rest.substr(length + 1)));
  if (!names) return unexpected("unacked entry: " + names.error().what);
  if (names->size() != 2 || !(*names)[0].is_string() || !(*names)[1].is_string())
    return unexpected("unacked entry: exchange and routing key must be strings");

  auto envelope = rest.substr(0, length);
  envelope = envelope.substr(0, envelope.find_last_not_of(space) + 1);
  return Stored{envelope, (*names)[0].get<std::string>(), (*names)[1].get<std::string>()};
}

Returned returned_form(std::string_view envelope) {
  Returned result;
  if (auto message = decode_envelope(envelope)) result.priority = message->properties.priority.value_or(0);
  auto marked = mark_redelivered(envelope);
  result.payload = marked ? std::move(*marked) : std::string(envelope);
  return result;
}

}  // namespace celeriac::redis
