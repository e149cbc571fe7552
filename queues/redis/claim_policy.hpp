// Decides when to claim the next messages, and how many. Large claims are cheap and small ones
// dear (one script call each), so a claim waits until half the window is free, but never
// longer than a moment: a free slot must not stay idle for the sake of a batch. Pure.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>

namespace celeriac::redis {

// So few messages are passed on at once, rather than with what comes along.
inline constexpr std::size_t few_messages = 4;
// ... and what nobody waits for is kept for company no longer than this.
inline constexpr std::chrono::milliseconds linger{1};

class ClaimPolicy {
 public:
  static constexpr unsigned largest_claim = 128;
  static constexpr std::size_t claim_bytes = 256 * 1024;

  enum class When { no, now, soon };

  void set_window(unsigned window) { window_ = window; }

  When when(std::size_t unsettled) const {
    if (window_ == 0) return When::now;
    if (unsettled >= window_) return When::no;
    const auto room = window_ - unsettled;
    return room >= std::min(largest_claim, std::max(1u, window_ / 2)) ? When::now : When::soon;
  }

  unsigned count(std::size_t unsettled) const {
    if (window_ == 0) return largest_claim;
    return unsettled >= window_
               ? 0
               : static_cast<unsigned>(std::min<std::size_t>(largest_claim, window_ - unsettled));
  }

 private:
  unsigned window_ = 1;
};

// What to expect of the bodies in one list, by those just seen: the largest of them, forgotten by
// and by. Pure.
class BodySizes {
 public:
  static constexpr std::size_t large = 32 * 1024;         // too dear for the script
  static constexpr std::size_t large_read = 4096 * 1024;  // bytes of large bodies read at once

  void seen(std::size_t biggest) { expected_ = std::max(biggest, expected_ / 2); }
  bool are_large() const { return expected_ > large; }

  // How many to read first within a claim: the script stops at claim_bytes only between reads.
  unsigned chunk() const {
    return static_cast<unsigned>(
        std::clamp<std::size_t>(ClaimPolicy::claim_bytes / 4 / std::max<std::size_t>(expected_, 1), 1, 64));
  }
  unsigned large_count(unsigned room) const {
    return static_cast<unsigned>(
        std::clamp<std::size_t>(large_read / std::max<std::size_t>(expected_, 1), 1, std::max(room, 1u)));
  }

 private:
  std::size_t expected_ = 16 * 1024;  // bytes
};

}  // namespace celeriac::redis
