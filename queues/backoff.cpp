#include "queues/backoff.hpp"

#include <algorithm>

namespace celeriac {

Backoff::Backoff(BackoffOptions options, std::uint32_t seed) : options_(options), random_(seed ? seed : 1) {}

std::optional<std::chrono::milliseconds> Backoff::next() {
  ++failures_;
  if (!succeeded_ && options_.max_retries != 0 && failures_ > std::max(0, options_.max_retries))
    return std::nullopt;
  auto plan = failures_ == 1 ? options_.first : std::min(options_.max, options_.step * (failures_ - 1));
  random_ = random_ * 1664525u + 1013904223u;
  return plan - plan * static_cast<int>(random_ >> 24) / 1024;
}

void Backoff::succeeded() {
  failures_ = 0;
  succeeded_ = true;
}

}  // namespace celeriac
