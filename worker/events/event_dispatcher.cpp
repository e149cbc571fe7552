#include "worker/events/event_dispatcher.hpp"

#include "protocol/json.hpp"

#include <algorithm>
#include <cmath>
#include <ctime>

namespace celeriac {
namespace {

constexpr std::size_t batch = 24;

}  // namespace

int utc_offset_hours(double now) {
  const auto seconds = static_cast<std::time_t>(now);
  std::tm local{};
  if (!::localtime_r(&seconds, &local)) return 0;
  return static_cast<int>(std::floor(-static_cast<double>(local.tm_gmtoff) / 3600));
}

EventDispatcher::EventDispatcher(Options options, LamportClock& clock, Outlet outlet)
    : options_(std::move(options)), clock_(clock), outlet_(std::move(outlet)), tasks_(options_.task_events) {
  headers_ = "{\"hostname\": ";
  dump_json_string(options_.node, headers_);
  head_ = headers_;
  headers_ += '}';
}

bool EventDispatcher::enable_tasks() {
  if (options_.task_events || tasks_) return false;
  return tasks_ = true;
}

bool EventDispatcher::disable_tasks() {
  if (options_.task_events || !tasks_) return false;
  tasks_ = false;
  return true;
}

void EventDispatcher::task(std::string_view type, std::string_view uuid, const EventFields& fields,
                           double now) {
  if (!tasks_) return;
  if (kept_.size() >= options_.most_kept) {
    kept_.pop_front();
    ++dropped_;
  }
  kept_.push_back(render(type, uuid, fields, now));
  if (kept_.size() == batch) return flush();
  if (!std::exchange(flush_asked_, true)) outlet_.flush_soon();
}

void EventDispatcher::worker(std::string_view type, const EventFields& fields, double now) {
  flush();  // what happened before is told before
  std::string key(type);
  std::replace(key.begin(), key.end(), '-', '.');
  outlet_.send(message(std::move(key), render(type, {}, fields, now)));
}

void EventDispatcher::flush() {
  flush_asked_ = false;
  while (!kept_.empty()) {
    const std::size_t count = std::min(kept_.size(), batch);
    std::string body = "[";
    for (std::size_t i = 0; i < count; ++i) {
      if (i > 0) body += ", ";
      body += kept_[i];
    }
    body += ']';
    if (!outlet_.send(message("task.multi", std::move(body)))) return;
    kept_.erase(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(count));
  }
}

std::string EventDispatcher::render(std::string_view type, std::string_view uuid, const EventFields& fields,
                                    double now) {
  EventFields common;
  common.integer("utcoffset", utc_offset_hours(now))
      .integer("pid", options_.pid)
      .integer("clock", static_cast<std::int64_t>(clock_.forward()));
  if (!uuid.empty()) common.text("uuid", uuid);
  std::string text;
  text.reserve(head_.size() + common.members().size() + fields.members().size() + 80);
  text += head_;
  text += ", ";
  text += common.members();
  text += fields.members();
  text += "\"timestamp\": ";
  text += python_float(now);
  text += ", \"type\": \"";
  text += type;
  text += "\"}";
  return text;
}

Message EventDispatcher::message(std::string routing_key, std::string body) const {
  Message message;
  message.headers = headers_;
  message.body = std::move(body);
  message.properties.exchange = "celeryev";
  message.properties.routing_key = std::move(routing_key);
  message.properties.delivery_mode = 1;
  return message;
}

}  // namespace celeriac
