// How queues move, from looking at them now and then. Pure; times are given.
//
// Celery's messages bear no time of sending. So what is known of the oldest is a lower bound: how long
// the message that is next has been seen to be next.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

namespace celeriac::http {

class QueueTrend {
 public:
  static constexpr double window = 120;   // seconds that are looked back
  static constexpr double shortest = 15;  // over less than this nothing is said
  static constexpr std::size_t most_queues = 1000;

  // `backlog`: all messages that are in the queue, held by workers, or delayed. `next`: what identifies the
  // message that is next; empty when nothing waits.
  void note(const std::string& queue, std::uint64_t backlog, const std::string& next, double now);

  // Messages a minute by which the backlog grows (negative: shrinks).
  std::optional<double> growth(const std::string& queue) const;
  // Seconds for which the next message has at least waited.
  std::optional<double> waited(const std::string& queue, double now) const;

 private:
  struct Sample {
    double time = 0;
    std::uint64_t backlog = 0;
  };
  struct Seen {
    std::deque<Sample> samples;
    std::string next;
    double since = 0;
  };
  std::map<std::string, Seen> queues_;
};

}  // namespace celeriac::http
