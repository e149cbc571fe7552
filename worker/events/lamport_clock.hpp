// The logical clock that orders events and commands between nodes (Lamport).
#pragma once

#include <algorithm>
#include <cstdint>

namespace celeriac {

class LamportClock {
 public:
  std::uint64_t value() const { return value_; }

  // Before sending: the value to send.
  std::uint64_t forward() { return ++value_; }

  // On receipt of another node's value. One that could wrap around is not believed.
  void adjust(std::uint64_t other) {
    if (other < limit) value_ = std::max(value_, other) + 1;
  }

 private:
  static constexpr std::uint64_t limit = std::uint64_t{1} << 62;
  std::uint64_t value_ = 0;
};

}  // namespace celeriac
