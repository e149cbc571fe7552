#include "worker/log_format.hpp"

#include "protocol/json.hpp"
#include "protocol/time.hpp"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

namespace celeriac {
namespace {

// Python's asctime: local time with milliseconds after a comma.
void write_asctime(double time, std::string& out) {
  const double whole = std::floor(time);
  const auto seconds = static_cast<std::time_t>(whole);
  const int millis = std::min(999, static_cast<int>((time - whole) * 1000));
  // localtime_r costs a lock and arithmetic; lines come many to a second.
  thread_local std::time_t cached = -1;
  thread_local char text[32];
  if (seconds != cached) {
    std::tm parts{};
    ::localtime_r(&seconds, &parts);
    std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
    cached = seconds;
  }
  fmt::format_to(std::back_inserter(out), "{},{:03}", text, millis);
}

}  // namespace

LogFormat::LogFormat(std::string_view format) {
  static constexpr std::pair<std::string_view, Field> known[] = {
      {"asctime", Field::asctime}, {"levelname", Field::levelname}, {"processName", Field::process_name},
      {"process", Field::process}, {"message", Field::message},     {"task_name", Field::task_name},
      {"task_id", Field::task_id}, {"name", Field::name},
  };
  std::string text;
  const auto end_text = [&] {
    if (!text.empty()) parts_.push_back({Field::text, std::move(text)});
    text.clear();
  };
  for (std::size_t i = 0; i < format.size();) {
    if (format.substr(i, 2) == "%%") {
      text += '%';
      i += 2;
      continue;
    }
    bool found = false;
    if (format.substr(i, 2) == "%(") {
      const auto close = format.find(')', i);
      if (close != std::string_view::npos && close + 1 < format.size()) {
        for (const auto& [name, field] : known) {
          if (format.substr(i + 2, close - i - 2) != name) continue;
          end_text();
          parts_.push_back({field, {}});
          i = close + 2;  // past the conversion letter
          found = true;
          break;
        }
      }
    }
    if (!found) text += format[i++];
  }
  end_text();
}

void LogFormat::render(const LogRecord& record, std::string& out) const {
  for (const Part& part : parts_) {
    switch (part.field) {
      case Field::text:
        out += part.text;
        break;
      case Field::asctime:
        write_asctime(record.time, out);
        break;
      case Field::levelname:
        out += level_name(record.level);
        break;
      case Field::process_name:
        out += record.source.process;
        break;
      case Field::process:
        out += std::to_string(record.pid);
        break;
      case Field::message:
        out += record.message;
        break;
      case Field::task_name:
        out += record.source.task_name;
        break;
      case Field::task_id:
        out += record.source.task_id;
        break;
      case Field::name:
        out += record.source.task_name.empty() ? "celery.worker" : "celery.task";
        break;
    }
  }
}

void render_json(const LogRecord& record, std::string& out) {
  const auto field = [&](std::string_view key, std::string_view value) {
    out += out.empty() || out.back() == '{' ? "\"" : ", \"";
    out += key;
    out += "\": ";
    dump_json_string(value, out);
  };
  out += '{';
  field("time", format_iso8601(record.time));
  field("level", level_name(record.level));
  field("process", record.source.process);
  if (!record.source.task_name.empty()) field("task", record.source.task_name);
  if (!record.source.task_id.empty()) field("task_id", record.source.task_id);
  field("message", record.message);
  out += '}';
}

std::string_view level_name(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return "DEBUG";
    case LogLevel::info:
      return "INFO";
    case LogLevel::warning:
      return "WARNING";
    case LogLevel::error:
      return "ERROR";
    case LogLevel::critical:
      return "CRITICAL";
  }
  return "NOTSET";
}

std::string_view level_colour(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return "\x1b[1;34m";
    case LogLevel::warning:
      return "\x1b[1;33m";
    case LogLevel::error:
      return "\x1b[1;31m";
    case LogLevel::critical:
      return "\x1b[1;35m";
    case LogLevel::info:
      break;
  }
  return {};
}

}  // namespace celeriac
