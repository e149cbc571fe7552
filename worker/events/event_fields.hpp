// The fields of one event as JSON text, in the order they are added. No document tree: a busy worker
// with task events on writes several of these for each task.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace celeriac {

class EventFields {
 public:
  EventFields& text(std::string_view name, std::string_view utf8);
  EventFields& text_or_null(std::string_view name, std::string_view utf8);  // empty: null
  EventFields& integer(std::string_view name, std::int64_t value);
  EventFields& number(std::string_view name, double value);
  EventFields& boolean(std::string_view name, bool value);
  EventFields& json(std::string_view name, std::string_view text);  // as it is

  const std::string& members() const { return members_; }  // each with ", " behind it

 private:
  void key(std::string_view name);

  std::string members_;
};

struct TaskEvent {
  std::string_view type;  // "task-succeeded"; empty: nothing to tell
  EventFields fields;
  bool told_if_requeued = true;
  bool alone = false;  // whatever becomes of the message
};

}  // namespace celeriac
