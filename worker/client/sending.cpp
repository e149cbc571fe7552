// Messages on their way from a caller's thread to the broker.
#include "worker/client/core.hpp"

#include <boost/asio/post.hpp>
#include <utility>

namespace celeriac {
namespace {

constexpr std::size_t most_open_parts = 16;

}  // namespace

struct ClientCore::Part {
  std::size_t messages = 0;
  std::function<void(Answer)> start;
  bool begun = false, withdrawn = false;  // under mutex_
};

// Under mutex_.
struct ClientCore::Flight : Call {
  std::size_t messages = 0, begun = 0, accepted = 0, refused = 0;  // messages
  std::size_t open = 0, answers = 0;                               // parts
  std::string problem;
  std::vector<std::shared_ptr<Part>> parts;  // not answered yet
};

ClientCore::Sending::Sending(ClientCore& core, std::size_t messages)
    : core_(core), flight_(std::make_shared<Flight>()) {
  flight_->messages = messages;
  const Lock lock(core_.mutex_);
  if (core_.closed_) throw OperationalError("the client is closed", {0, 0, messages});
  core_.calls_.insert(flight_.get());
}

ClientCore::Sending::~Sending() {
  const Lock lock(core_.mutex_);
  core_.calls_.erase(flight_.get());
}

void ClientCore::Sending::publish(std::vector<Message> messages) {
  struct Batch {
    std::vector<Message> messages;
    std::size_t open = 0, accepted = 0;
    std::string problem;
    Answer answer;
  };
  auto batch = std::make_shared<Batch>();
  batch->messages = std::move(messages);
  batch->open = batch->messages.size();
  hand_over(batch->open, [&broker = *core_.broker_, batch](Answer answer) {
    batch->answer = std::move(answer);
    for (Message& message : batch->messages) {
      broker.publish(std::move(message), [batch](const Status& status) {
        if (status.ok())
          ++batch->accepted;
        else if (batch->problem.empty())
          batch->problem = status.what;
        if (--batch->open == 0) batch->answer(batch->accepted, std::move(batch->problem));
      });
    }
  });
}

void ClientCore::Sending::send(std::vector<canvas::Step> steps, std::size_t messages) {
  auto all = std::make_shared<std::vector<canvas::Step>>(std::move(steps));
  hand_over(messages, [&runner = *core_.runner_, all, messages](Answer answer) {
    runner.send(std::move(*all), [answer = std::move(answer), messages](const Status& status) {
      answer(status.ok() ? messages : 0, status.what);
    });
  });
}

void ClientCore::Sending::broadcast(Message message) {
  auto sent = std::make_shared<Message>(std::move(message));
  hand_over(1, [&broker = *core_.broker_, sent](Answer answer) {
    if (!broker.can_broadcast()) return answer(0, "this broker has no remote control");
    if (!broker.broadcast(*sent)) return answer(0, "there is no connection");
    broker.flush([answer = std::move(answer)](const Status& status) { answer(status.ok(), status.what); });
  });
}

void ClientCore::Sending::hand_over(std::size_t messages, std::function<void(Answer)> start) {
  wait_for(most_open_parts - 1);
  auto part = std::make_shared<Part>();
  part->messages = messages;
  part->start = std::move(start);
  {
    const Lock lock(core_.mutex_);
    ++flight_->open;
    flight_->parts.push_back(part);
  }
  boost::asio::post(core_.io_, [&core = core_, flight = flight_, part] { core.begin(flight, part); });
}

void ClientCore::begin(const std::shared_ptr<Flight>& flight, const std::shared_ptr<Part>& part) {
  {
    const Lock lock(mutex_);
    if (part->withdrawn || closed_) return;
    if (broker_state_ != BrokerState::connected) {
      held_.emplace_back(flight, part);
      return;
    }
    part->begun = true;
    flight->begun += part->messages;
  }
  ++unanswered_;
  auto start = std::exchange(part->start, nullptr);
  start([this, flight, part](std::size_t accepted, std::string problem) {
    --unanswered_;
    const Lock lock(mutex_);
    flight->accepted += accepted;
    flight->refused += part->messages - accepted;
    if (flight->problem.empty()) flight->problem = std::move(problem);
    std::erase(flight->parts, part);
    --flight->open;
    ++flight->answers;
    flight->changed.notify_one();
  });
}

void ClientCore::Sending::finish() { wait_for(0); }

void ClientCore::Sending::wait_for(std::size_t most_open) {
  Lock lock(core_.mutex_);
  Flight& flight = *flight_;
  const auto limit = std::chrono::duration_cast<Steady::duration>(core_.timeout_);
  while (flight.open > most_open && flight.problem.empty() && !flight.closed) {
    const std::size_t answers = flight.answers;
    if (!flight.changed.wait_for(lock, limit, [&] { return flight.answers != answers || flight.closed; }))
      fail(core_.broker_state_ == BrokerState::connected
               ? "no answer within " + seconds_text(core_.timeout_.count())
               : "no connection within " + seconds_text(core_.timeout_.count()) +
                     (core_.broker_trouble_.empty() ? "" : ": " + core_.broker_trouble_));
  }
  if (!flight.problem.empty()) {
    // What is under way may well be answered: better known than unsure.
    flight.changed.wait_for(lock, limit, [&] { return flight.open == 0 || flight.closed; });
    fail(flight.problem);
  }
  if (flight.closed) fail("the client is closed");
}

void ClientCore::Sending::fail(const std::string& why) {
  Flight& flight = *flight_;
  for (const auto& part : flight.parts) part->withdrawn = true;
  boost::asio::post(core_.io_, [&core = core_] {
    const Lock lock(core.mutex_);
    std::erase_if(core.held_, [](const auto& held) { return held.second->withdrawn; });
  });
  OperationalError::Messages known;
  known.accepted = flight.accepted;
  known.unsure = flight.begun - flight.accepted - flight.refused;
  known.not_sent = flight.messages - known.accepted - known.unsure;
  std::string what = "message broker " + core_.broker_->display_url() + ": " + why;
  if (flight.messages == 1) {
    what += known.unsure ? "; the message may have been sent" : "; the message was not sent";
  } else {
    what += "; of " + std::to_string(flight.messages) + " messages " + std::to_string(known.accepted) +
            " were sent, " + std::to_string(known.unsure) + " may have been sent, " +
            std::to_string(known.not_sent) + " were not sent";
  }
  throw OperationalError(what, known);
}

}  // namespace celeriac
