#include "worker/logging.hpp"

#include "worker/log_format.hpp"

#include <fcntl.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <mutex>

namespace celeriac {
namespace {

// Set around one call of spdlog, which formats in the calling thread.
thread_local const LogSource* current_source = nullptr;

constexpr std::string_view main_process = "MainProcess";

// Writes whole lines to stderr or to a file that log rotation may move away.
class LineSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  LineSink(const Settings& settings, std::string path, bool colour)
      : plain_(settings.worker_log_format),
        task_(settings.worker_task_log_format),
        json_(settings.worker_log_json),
        colour_(colour),
        path_(std::move(path)) {}

  ~LineSink() override {
    if (fd_ > STDERR_FILENO) ::close(fd_);
  }

  // Empty: done.
  std::string open() {
    if (path_.empty()) return {};
    const int fd = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) return std::strerror(errno);
    if (fd_ > STDERR_FILENO) ::close(fd_);
    fd_ = fd;
    return {};
  }

  void reopen() {
    const std::lock_guard lock(mutex_);
    if (const std::string error = open(); !error.empty()) {
      const std::string line = "cannot reopen " + path_ + ": " + error + "; still writing to the old file\n";
      write(line);
    }
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    LogRecord record;
    record.time = std::chrono::duration<double>(message.time.time_since_epoch()).count();
    record.level = static_cast<LogLevel>(std::clamp<int>(message.level, 1, 5));
    record.source = current_source ? *current_source : LogSource{main_process, {}, {}};
    record.pid = ::getpid();
    text_.assign(message.payload.data(), message.payload.size());
    redact(text_);
    record.message = text_;
    line_.clear();
    const std::string_view colour = colour_ && !json_ ? level_colour(record.level) : std::string_view();
    line_ += colour;
    if (json_)
      render_json(record, line_);
    else
      (record.source.task_name.empty() ? plain_ : task_).render(record, line_);
    if (!colour.empty()) line_ += "\x1b[0m";
    line_ += '\n';
    write(line_);
  }
  void flush_() override {}

 private:
  void write(std::string_view line) {
    while (!line.empty()) {
      const ssize_t n = ::write(fd_, line.data(), line.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return;  // there is nowhere left to say so
      line.remove_prefix(static_cast<std::size_t>(n));
    }
  }

  LogFormat plain_, task_;
  bool json_, colour_;
  std::string path_;
  int fd_ = STDERR_FILENO;
  std::string text_, line_;
};

std::shared_ptr<LineSink> the_sink;  // for reopen_log(): spdlog itself has no such call

}  // namespace

Expected<LogLevel> parse_log_level(std::string_view text) {
  std::string upper(text);
  std::transform(upper.begin(), upper.end(), upper.begin(), [](unsigned char c) { return std::toupper(c); });
  if (upper == "DEBUG") return LogLevel::debug;
  if (upper == "INFO") return LogLevel::info;
  if (upper == "WARNING" || upper == "WARN") return LogLevel::warning;
  if (upper == "ERROR") return LogLevel::error;
  if (upper == "CRITICAL" || upper == "FATAL") return LogLevel::critical;
  return unexpected("log level '" + std::string(text) +
                    "': choose DEBUG, INFO, WARNING, ERROR, CRITICAL or FATAL");
}

Expected<bool> start_logging(const Settings& settings, const WorkerOptions& options,
                             const std::string& logfile) {
  const auto level = parse_log_level(options.loglevel);
  if (!level) return tl::unexpected(level.error());
  const bool colour = logfile.empty() && !options.no_color && ::isatty(STDERR_FILENO);
  auto sink = std::make_shared<LineSink>(settings, logfile, colour);
  if (const std::string error = sink->open(); !error.empty())
    return unexpected("--logfile " + logfile + ": " + error);
  auto logger = std::make_shared<spdlog::logger>("celeriac", sink);
  logger->set_level(static_cast<spdlog::level::level_enum>(*level));
  spdlog::set_default_logger(std::move(logger));
  the_sink = std::move(sink);
  return true;
}

void reopen_log() {
  if (the_sink) the_sink->reopen();
}

bool log_enabled(LogLevel level) {
  return spdlog::default_logger_raw()->should_log(static_cast<spdlog::level::level_enum>(level));
}

void log(LogLevel level, std::string_view text) {
  spdlog::default_logger_raw()->log(static_cast<spdlog::level::level_enum>(level),
                                    spdlog::string_view_t(text.data(), text.size()));
}

void log(LogLevel level, const LogSource& source, std::string_view text) {
  current_source = &source;
  log(level, text);
  current_source = nullptr;
}

}  // namespace celeriac
