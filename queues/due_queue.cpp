#include "queues/due_queue.hpp"

#include <algorithm>

namespace celeriac {

bool DueQueue::later(const Entry& a, const Entry& b) {
  return a.due != b.due ? a.due > b.due : a.tag > b.tag;
}

void DueQueue::add(Clock::time_point due, Tag tag) {
  heap_.push_back({due, tag});
  std::push_heap(heap_.begin(), heap_.end(), later);
}

std::vector<Tag> DueQueue::take_due(Clock::time_point now, std::size_t limit) {
  std::vector<Tag> due;
  while (!heap_.empty() && heap_.front().due <= now && due.size() < limit) {
    due.push_back(heap_.front().tag);
    std::pop_heap(heap_.begin(), heap_.end(), later);
    heap_.pop_back();
  }
  if (heap_.empty()) heap_.shrink_to_fit();
  return due;
}

std::optional<Clock::time_point> DueQueue::next_due() const {
  if (heap_.empty()) return std::nullopt;
  return heap_.front().due;
}

std::vector<Tag> DueQueue::take_all() { return take_due(Clock::time_point::max(), heap_.size()); }

}  // namespace celeriac
