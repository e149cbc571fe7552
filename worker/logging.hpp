// The log as Celery's users know it: the same line formats, levels and names of processes.
//
// Built on spdlog's default logger, so that every part of the program writes to one place. Secrets
// (passwords in URLs, values of keys such as `password` or `token`) are blanked in every line.
// Threads: lines may be written from any thread.
#pragma once

#include "config/settings.hpp"
#include "protocol/error.hpp"

#include <string>
#include <string_view>

namespace celeriac {

// spdlog's numbers.
enum class LogLevel : int { debug = 1, info = 2, warning = 3, error = 4, critical = 5 };

// Any case, Celery's words: DEBUG INFO WARNING ERROR CRITICAL FATAL.
Expected<LogLevel> parse_log_level(std::string_view text);

// Replaces spdlog's default logger. `logfile` has its abbreviations expanded; empty: stderr.
// Fails when the file cannot be opened.
Expected<bool> start_logging(const Settings& settings, const WorkerOptions& options,
                             const std::string& logfile);

// Opens the log file again under its name, after a rotation. Nothing to do on stderr.
void reopen_log();

bool log_enabled(LogLevel level);
void log(LogLevel level, std::string_view text);

// A line about one task, or from it. The worker's own lines have only `process`.
struct LogSource {
  std::string_view process;    // "MainProcess", "ForkPoolWorker-1"
  std::string_view task_name;  // with a name the task log format is used
  std::string_view task_id;
};
void log(LogLevel level, const LogSource& source, std::string_view text);

// Blanks secrets in `text`; returns false and leaves it alone when there are none.
bool redact(std::string& text);

}  // namespace celeriac
