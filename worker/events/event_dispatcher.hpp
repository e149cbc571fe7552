// Turns what happens into Celery's event messages, and decides when they leave.
//
// Worker events leave at once, one message each; task events are gathered and leave as one list
// (`task.multi`) when 24 are there or the turn of the loop ends. While there is no connection they are
// kept, the newest of them, and leave after it. Which groups ("worker", "task") are sent at all can be
// changed while the worker runs. No sockets inside: the caller sends, flushes and knows the time.
#pragma once

#include "protocol/message.hpp"
#include "worker/events/event_fields.hpp"
#include "worker/events/lamport_clock.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

namespace celeriac {

class EventDispatcher {
 public:
  struct Options {
    std::string node;
    int pid = 0;
    bool task_events = false;       // -E: all groups, for good (as in Celery)
    std::size_t most_kept = 10000;  // task events while there is no connection
  };
  struct Outlet {
    std::function<bool(const Message&)> send;  // false: there is no connection
    std::function<void()> flush_soon;          // call flush() when this turn of the loop ends
  };

  EventDispatcher(Options options, LamportClock& clock, Outlet outlet);

  // Whether anybody wants task events. Ask before gathering their fields.
  bool wants_tasks() const { return tasks_; }
  // False when nothing changed. With -E nothing ever does.
  bool enable_tasks();
  bool disable_tasks();

  // `uuid` is the task's id. Only while wants_tasks().
  void task(std::string_view type, std::string_view uuid, const EventFields& fields, double now);
  // Not kept when there is no connection: the next heartbeat says more.
  void worker(std::string_view type, const EventFields& fields, double now);

  void flush();

  std::uint64_t dropped() const { return dropped_; }  // task events that nobody will see

 private:
  std::string render(std::string_view type, std::string_view uuid, const EventFields& fields, double now);
  Message message(std::string routing_key, std::string body) const;

  Options options_;
  LamportClock& clock_;
  Outlet outlet_;
  bool tasks_;
  std::string head_;     // the members every event begins with, up to the clock
  std::string headers_;  // of the messages
  std::deque<std::string> kept_;
  bool flush_asked_ = false;
  std::uint64_t dropped_ = 0;
};

// Hours west of Greenwich, as Python's events say it: UTC+2 is -2, UTC+5:30 is -6.
int utc_offset_hours(double now);

}  // namespace celeriac
