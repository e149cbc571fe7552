#include "queues/amqp/ack_window.hpp"

#include <algorithm>

namespace celeriac::amqp {

void AckWindow::delivered(std::uint64_t tag) {
  if (states_.empty()) first_ = tag;
  states_.push_back(State::held);
  ++held_;
}

AckWindow::State* AckWindow::find(std::uint64_t tag) {
  if (tag < first_ || tag - first_ >= states_.size()) return nullptr;
  return &states_[tag - first_];
}

void AckWindow::ack(std::uint64_t tag) {
  State* state = find(tag);
  if (!state || *state == State::settled) return;
  *state = State::settled;
  --held_;
  acked_.push_back(tag);
}

void AckWindow::settled(std::uint64_t tag) {
  State* state = find(tag);
  if (!state || *state == State::settled) return;
  *state = State::settled;
  --held_;
}

std::vector<AckWindow::Ack> AckWindow::take() {
  std::vector<Ack> out;
  if (acked_.empty()) return out;
  std::uint64_t below = first_;  // the first tag still held
  while (!states_.empty() && states_.front() == State::settled) {
    states_.pop_front();
    ++below;
  }
  first_ = below;
  std::sort(acked_.begin(), acked_.end());
  const auto rest = std::lower_bound(acked_.begin(), acked_.end(), below);
  if (rest != acked_.begin()) out.push_back({*(rest - 1), rest - acked_.begin() > 1});
  for (auto tag = rest; tag != acked_.end(); ++tag) out.push_back({*tag, false});
  acked_.clear();
  return out;
}

}  // namespace celeriac::amqp
