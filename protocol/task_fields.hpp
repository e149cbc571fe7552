// Fills TaskHeaders from the text of a header object, or from the decoded body of protocol 1: what
// read_task is made of, for those who need no body.
#pragma once

#include "protocol/json.hpp"
#include "protocol/message.hpp"

#include <string>
#include <string_view>

namespace celeriac {

class JsonScanner;

class TaskFields {
 public:
  explicit TaskFields(TaskHeaders& to) : to_(to) {}

  // Both return what is wrong, or an empty text. Fields that are absent or null keep what they have.
  std::string read(std::string_view headers, bool& has_task);
  std::string read_v1(const Json& body);

 private:
  bool read_field(JsonScanner& in, std::string_view key);
  bool wrong(std::string_view key, std::string_view why);

  TaskHeaders& to_;
  std::string error_;
  bool local_time_ = false;  // protocol 1 with "utc": false
};

}  // namespace celeriac
