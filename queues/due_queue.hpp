// The messages put off until later: 16 bytes each, so a million of them is no matter. The
// bodies stay with the broker. Pure: no clock, no timer.
#pragma once

#include "queues/broker.hpp"

#include <optional>
#include <vector>

namespace celeriac {

class DueQueue {
 public:
  void add(Clock::time_point due, Tag tag);

  // At most `limit` tags due at `now`, earliest first; equal times in order of their tags.
  std::vector<Tag> take_due(Clock::time_point now, std::size_t limit);

  // When to call take_due() next; empty when nothing waits.
  std::optional<Clock::time_point> next_due() const;

  // Everything, in the same order.
  std::vector<Tag> take_all();

  std::size_t size() const { return heap_.size(); }

 private:
  struct Entry {
    Clock::time_point due;
    Tag tag;
  };
  static bool later(const Entry& a, const Entry& b);

  std::vector<Entry> heap_;
};

}  // namespace celeriac
