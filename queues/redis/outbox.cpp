#include "queues/redis/outbox.hpp"

#include "queues/redis/scripts.hpp"

namespace celeriac::redis {

void Outbox::send(Request request, std::function<void(Reply)> handler) {
  auto unit = std::make_shared<Unit>();
  unit->request = std::move(request);
  unit->handler = std::move(handler);
  unit->operation = begin();
  transmit(std::move(unit));
}

void Outbox::transmit(std::shared_ptr<Unit> unit) {
  if (!connection_.ready() || !waiting_.empty() || given_up_) {
    waiting_bytes_ += unit->request.bytes().size();
    waiting_.push_back(std::move(unit));
    return;
  }
  unit->answers = 0;
  unit->settled = false;
  const Request& request = unit->request;
  connection_.send(request, [this, unit](Reply reply) { answered(unit, reply); });
}

void Outbox::answered(const std::shared_ptr<Unit>& unit, Reply reply) {
  ++unit->answers;
  if (unit->settled) return;
  const bool last = unit->answers == unit->request.commands();
  if (!reply.lost() && !reply.is_error() && !last) return;
  unit->settled = true;
  if (reply.lost()) {
    waiting_bytes_ += unit->request.bytes().size();
    waiting_.push_back(unit);
    return;
  }
  if (reply.is_error() && reply.text().substr(0, 8) == "NOSCRIPT") {
    connection_.send(scripts().load(), nullptr);
    return transmit(std::make_shared<Unit>(Unit{unit->request, std::move(unit->handler), unit->operation}));
  }
  if (unit->handler) unit->handler(reply);
  end(unit->operation);
}

void Outbox::resend() {
  auto units = std::exchange(waiting_, {});
  waiting_bytes_ = 0;
  for (auto& unit : units)
    transmit(
        std::make_shared<Unit>(Unit{std::move(unit->request), std::move(unit->handler), unit->operation}));
}

void Outbox::give_up() {
  given_up_ = true;
  while (!waiting_.empty()) {
    auto unit = std::move(waiting_.front());
    waiting_.pop_front();
    if (unit->handler) unit->handler(Reply(nullptr));
    end(unit->operation);
  }
  waiting_bytes_ = 0;
}

std::uint64_t Outbox::begin() {
  open_.insert(open_.end(), next_operation_);
  return next_operation_++;
}

void Outbox::end(std::uint64_t operation) {
  open_.erase(operation);
  const std::uint64_t oldest = open_.empty() ? next_operation_ : *open_.begin();
  while (!waiters_.empty() && waiters_.front().first < oldest) {
    auto done = std::move(waiters_.front().second);
    waiters_.pop_front();
    done();
  }
}

void Outbox::when_done(std::function<void()> done) {
  const auto marker = begin();
  waiters_.emplace_back(marker, std::move(done));
  end(marker);
}

}  // namespace celeriac::redis
