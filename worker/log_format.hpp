// Renders log lines from Python's %-style format strings, or as JSON objects.
#pragma once

#include "worker/logging.hpp"

#include <ctime>
#include <string>
#include <string_view>
#include <vector>

namespace celeriac {

struct LogRecord {
  double time = 0;  // Unix seconds
  LogLevel level = LogLevel::info;
  LogSource source;
  std::string_view message;
  int pid = 0;
};

// "%(asctime)s", "%(levelname)s", "%(processName)s", "%(process)d", "%(message)s", "%(task_name)s",
// "%(task_id)s", "%(name)s"; anything else stays as written.
class LogFormat {
 public:
  explicit LogFormat(std::string_view format);
  void render(const LogRecord& record, std::string& out) const;

 private:
  enum class Field { text, asctime, levelname, process_name, process, message, task_name, task_id, name };
  struct Part {
    Field field = Field::text;
    std::string text;
  };
  std::vector<Part> parts_;
};

void render_json(const LogRecord& record, std::string& out);
std::string_view level_name(LogLevel level);
std::string_view level_colour(LogLevel level);  // an ANSI sequence; empty for INFO

}  // namespace celeriac
