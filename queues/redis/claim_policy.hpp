// Decides when to claim the next messages, and how many. Large claims are cheap and small ones
// dear (one script call each), so a claim waits until half the window is free, but never
// longer than a moment: a free slot must not stay idle for the sake of a batch. Pure.
#pragma once

#include <algorithm>
#include <cstddef>

namespace celeriac::redis {

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

  // How many to read at a time within a claim: the server stops at claim_bytes only between
  // reads, so large bodies, known from those just seen, are read one by one.
  unsigned chunk() const {
    return static_cast<unsigned>(
        std::clamp<std::size_t>(claim_bytes / 4 / std::max<std::size_t>(average_, 1), 1, 64));
  }

  void claimed(std::size_t messages, std::size_t bytes) {
    if (messages > 0) average_ = (average_ + bytes / messages) / 2;
  }

 private:
  unsigned window_ = 1;
  std::size_t average_ = 4096;  // bytes
};

}  // namespace celeriac::redis
