// Which delivery tags of one channel are to be acknowledged, in as few commands as possible: one
// `multiple` for everything up to the first delivery that is still held. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

namespace celeriac::amqp {

class AckWindow {
 public:
  struct Ack {
    std::uint64_t tag;
    bool multiple;  // this one and everything before it
  };

  // Tags come counting up by one, as servers number them.
  void delivered(std::uint64_t tag);
  // To be acknowledged with the next take(). Unknown and repeated tags do nothing.
  void ack(std::uint64_t tag);
  // Settled in another way (reject, nack); nothing is sent for it.
  void settled(std::uint64_t tag);

  // What to send now.
  std::vector<Ack> take();
  bool pending() const { return !acked_.empty(); }
  std::size_t held() const { return held_; }  // neither acked nor settled

 private:
  enum class State : std::uint8_t { held, settled };
  State* find(std::uint64_t tag);

  std::uint64_t first_ = 1;  // of states_
  std::deque<State> states_;
  std::vector<std::uint64_t> acked_;
  std::size_t held_ = 0;
};

}  // namespace celeriac::amqp
