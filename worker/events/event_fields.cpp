#include "worker/events/event_fields.hpp"

#include "protocol/json.hpp"

namespace celeriac {

void EventFields::key(std::string_view name) {
  members_ += '"';
  members_ += name;
  members_ += "\": ";
}

EventFields& EventFields::text(std::string_view name, std::string_view utf8) {
  key(name);
  dump_json_string(utf8, members_);
  members_ += ", ";
  return *this;
}

EventFields& EventFields::text_or_null(std::string_view name, std::string_view utf8) {
  return utf8.empty() ? json(name, "null") : text(name, utf8);
}

EventFields& EventFields::integer(std::string_view name, std::int64_t value) {
  return json(name, std::to_string(value));
}

EventFields& EventFields::number(std::string_view name, double value) {
  return json(name, python_float(value));
}

EventFields& EventFields::boolean(std::string_view name, bool value) {
  return json(name, value ? "true" : "false");
}

EventFields& EventFields::json(std::string_view name, std::string_view text) {
  key(name);
  members_ += text;
  members_ += ", ";
  return *this;
}

}  // namespace celeriac
