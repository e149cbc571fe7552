#include "queues/bridge.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

namespace celeriac {
namespace {

constexpr std::chrono::milliseconds look_pause{200};
constexpr std::chrono::seconds longest_farewell{10};  // for confirmations when it is ended early
constexpr int persistent = 2;

}  // namespace

Bridge::Bridge(boost::asio::io_context& io, std::unique_ptr<Broker> from, std::unique_ptr<Broker> to,
               std::vector<std::string> queues)
    : io_(io),
      from_(std::move(from)),
      to_(std::move(to)),
      queues_(std::move(queues)),
      look_timer_(io),
      end_timer_(io) {}

void Bridge::start(bool follow, std::function<void(const Outcome&)> done) {
  follow_ = follow;
  done_ = std::move(done);
  const auto handlers = [this](bool& ready, const Broker& broker) {
    Broker::Handlers out;
    out.on_deliveries = [this](std::vector<Delivery>&& batch) { take(std::move(batch)); };
    out.on_state = [this, &ready, &broker](BrokerState state, const std::string& what) {
      ready = ready || state == BrokerState::connected;
      if (state == BrokerState::failed) return end("cannot connect to " + broker.display_url() + ": " + what);
      if (from_ready_ && to_ready_ && !began_) connected();
    };
    return out;
  };
  from_->start(handlers(from_ready_, *from_));
  to_->start(handlers(to_ready_, *to_));
}

void Bridge::connected() {
  began_ = true;
  declare_next(0);
}

// All of them there before the first message comes.
void Bridge::declare_next(std::size_t index) {
  if (ending_) return;
  if (index == queues_.size()) {
    last_ = std::chrono::steady_clock::now();
    from_->set_window(window);
    from_->consume(queues_);
    return look();
  }
  to_->declare(queues_[index], [this, index](const Status& status) {
    if (!status.ok())
      return end("queue '" + queues_[index] + "' at " + to_->display_url() + ": " + status.what);
    declare_next(index + 1);
  });
}

void Bridge::take(std::vector<Delivery>&& batch) {
  if (ending_) return;  // unsettled: they go back
  last_ = std::chrono::steady_clock::now();
  for (Delivery& delivery : batch) {
    if (!delivery.error.empty()) {
      ++outcome_.unreadable;
      continue;
    }
    Message message = std::move(delivery.message);
    message.properties.exchange.clear();
    message.properties.routing_key = delivery.queue;
    message.properties.delivery_mode = persistent;
    ++under_way_;
    to_->publish(std::move(message),
                 [this, tag = delivery.tag, queue = delivery.queue](const Status& status) {
                   --under_way_;
                   if (status.ok()) {
                     ++outcome_.moved[queue];
                     from_->ack(tag);
                   } else {
                     end("queue '" + queue + "' at " + to_->display_url() + ": " + status.what);
                   }
                   if (ending_ && under_way_ == 0) leave();
                 });
  }
}

void Bridge::look() {
  look_timer_.after(look_pause, [this] {
    if (under_way_ > 0) return look();
    from_->inspect(queues_, [this](const Expected<std::vector<QueueInfo>>& infos) { looked(infos); });
  });
}

void Bridge::looked(const Expected<std::vector<QueueInfo>>& infos) {
  if (ending_) return;
  std::uint64_t ready = 0, held = 0;
  if (infos)
    for (const auto& info : *infos) ready += info.ready, held += info.unacked;
  outcome_.held = held - std::min(held, outcome_.unreadable);
  const bool idle = std::chrono::steady_clock::now() - last_ > 2 * look_pause;
  if (infos && ready == 0 && under_way_ == 0 && idle && !follow_) return end({});
  if (ready > 0 && outcome_.unreadable >= window)
    return end("the queues begin with messages that cannot be read");
  if (ready > 0 && std::chrono::steady_clock::now() - last_ > patience)
    return end("nothing came for 30 s although " + std::to_string(ready) + " message(s) wait at " +
               from_->display_url() + " (is a queue paused?)");
  look();
}

void Bridge::stop() { end({}); }

void Bridge::end(std::string problem) {
  if (std::exchange(ending_, true)) return;
  outcome_.problem = std::move(problem);
  look_timer_.cancel();
  if (began_) from_->pause();
  if (under_way_ == 0) return leave();
  end_timer_.after(longest_farewell, [this] { leave(); });
}

// The source last: it is told of everything that has arrived.
void Bridge::leave() {
  if (!done_) return;
  end_timer_.cancel();
  auto done = std::make_shared<std::function<void(const Outcome&)>>(std::exchange(done_, nullptr));
  boost::asio::post(io_, [this, done] {
    to_->stop([this, done](std::size_t) {
      from_->stop([this, done](std::size_t) { boost::asio::post(io_, [this, done] { (*done)(outcome_); }); });
    });
  });
}

}  // namespace celeriac
