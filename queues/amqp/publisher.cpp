#include "queues/amqp/publisher.hpp"

#include <spdlog/spdlog.h>
#include <algorithm>
#include <boost/asio/post.hpp>

namespace celeriac::amqp {
namespace {

constexpr std::size_t most_bytes = 256u << 20;  // kept here while the server does not take them
constexpr std::chrono::milliseconds retry_pause{1000};
constexpr std::chrono::seconds complaint_pause{30};
constexpr int most_attempts = 2;  // of an unroutable message: its queue may just have been deleted

std::string where(const Message& message) {
  return "exchange '" + message.properties.exchange + "', routing key '" + message.properties.routing_key +
         "'";
}

}  // namespace

Publisher::Publisher(boost::asio::io_context& io, Connection& connection, Topology& topology)
    : connection_(connection), topology_(topology), retry_timer_(io) {}

void Publisher::publish(Message message, Done done) {
  if (given_up_ || bytes_ > most_bytes) {
    const char* why =
        given_up_ ? "there is no connection to the broker" : "too much waits for the connection to RabbitMQ";
    if (done) done(Status{why});
    return;
  }
  Item item;
  item.bytes = message.body.size() + message.headers.size() + 512;
  item.message = std::move(message);
  item.done = std::move(done);
  bytes_ += item.bytes;
  order_.emplace(++last_, std::move(item));
  unsent_.push_back(last_);
  send();
}

void Publisher::when_done(std::function<void()> then) {
  if (order_.empty()) return then();
  watchers_.emplace_back(last_, std::move(then));
}

void Publisher::check_watchers() {
  const Number oldest = order_.empty() ? last_ + 1 : order_.begin()->first;
  std::vector<std::function<void()>> ready;
  std::erase_if(watchers_, [&](auto& watcher) {
    if (watcher.first >= oldest) return false;
    ready.push_back(std::move(watcher.second));
    return true;
  });
  for (auto& then : ready) then();
}

// ---- life ----

void Publisher::up() {
  given_up_ = false;
  Session& session = connection_.session();
  channel_ = session.open_channel(*this);
  if (!channel_) return;
  amqp_confirm_select_t select{};
  session.call(*channel_, AMQP_CONFIRM_SELECT_METHOD, &select, AMQP_CONFIRM_SELECT_OK_METHOD,
               [this](const amqp_method_t&) {
                 confirming_ = true;
                 send();
               });
}

void Publisher::resend_all() {
  channel_.reset();
  confirming_ = false;
  sent_.clear();
  last_tag_ = 0;
  unsent_.clear();
  for (auto& [number, item] : order_) {
    item.returned = false;
    unsent_.push_back(number);
  }
}

void Publisher::down() {
  retry_timer_.cancel();
  ensuring_ = false;
  resend_all();
}

void Publisher::give_up(const std::string& why) {
  down();
  given_up_ = true;
  while (!order_.empty()) answer(order_.begin()->first, Status{why});
}

void Publisher::cancel() {
  retry_timer_.cancel();
  watchers_.clear();
  for (auto& [number, item] : order_) item.done = nullptr;
}

// ---- out ----

void Publisher::send() {
  while (confirming_ && !ensuring_ && !unsent_.empty()) {
    if (careful_ > 0 && !sent_.empty()) return;
    const Number number = unsent_.front();
    const auto found = order_.find(number);
    if (found == order_.end()) {
      unsent_.pop_front();
      continue;
    }
    const Properties& to = found->second.message.properties;
    if (to.exchange.empty() && to.delivery_mode == 2 && !topology_.knows(to.routing_key)) {
      ensuring_ = true;
      const std::string queue = to.routing_key;
      topology_.ensure(queue, [this, queue](const Topology::Queue& result) {
        ensuring_ = false;
        // Declaring may not be ours to do; whether the message arrives, the server tells.
        if (!result.problem.empty() && !given_up_)
          spdlog::warn("queue '{}' cannot be declared: {}", queue, result.problem);
        if (!result.problem.empty() && !unsent_.empty() && confirming_) send_one(unsent_.front());
        send();
      });
      if (ensuring_) return;
      continue;
    }
    send_one(number);
  }
}

bool Publisher::send_one(Number number) {
  unsent_.pop_front();
  const auto found = order_.find(number);
  if (found == order_.end()) return false;
  const Message& message = found->second.message;
  const auto to = topology_.address(message.properties);
  auto sent = connection_.session().publish(*channel_, to.exchange, to.routing_key,
                                            message.properties.delivery_mode == 2, message);
  if (!sent) {
    answer(number, Status{sent.error().what});
    return false;
  }
  sent_.emplace(++last_tag_, number);
  return true;
}

// ---- in ----

void Publisher::on_confirmed(std::uint64_t tag, bool multiple, bool taken) {
  if (multiple) {
    while (!sent_.empty() && sent_.begin()->first <= tag) settle(sent_.begin()->first, taken);
  } else {
    settle(tag, taken);
  }
  send();
}

void Publisher::settle(std::uint64_t tag, bool taken) {
  const auto found = sent_.find(tag);
  if (found == sent_.end()) return;
  const Number number = found->second;
  sent_.erase(found);
  if (careful_ > 0) --careful_;
  if (!taken) return refused(number);
  const auto item = order_.find(number);
  if (item != order_.end() && item->second.returned) return unroutable(number);
  answer(number, Status{});
}

// The server returns a message before it confirms it.
void Publisher::on_returned(Returned&& returned) {
  for (const auto& [tag, number] : sent_) {
    Item& item = order_.at(number);
    const auto to = topology_.address(item.message.properties);
    if (item.returned || to.exchange != returned.exchange || to.routing_key != returned.routing_key ||
        item.message.properties.correlation_id != returned.message.properties.correlation_id)
      continue;
    item.returned = true;
    item.why_returned = std::to_string(returned.code) + " " + returned.text;
    return;
  }
}

void Publisher::unroutable(Number number) {
  Item& item = order_.at(number);
  item.returned = false;
  const Properties& to = item.message.properties;
  if (to.exchange.empty() && ++item.attempts < most_attempts) {
    topology_.forget(to.routing_key);
    unsent_.push_back(number);
    return;
  }
  answer(number, Status{"no queue takes the message (" + where(item.message) + "): " + item.why_returned});
}

void Publisher::refused(Number number) {
  const auto now = std::chrono::steady_clock::now();
  if (now - last_complaint_ > complaint_pause || last_complaint_.time_since_epoch().count() == 0) {
    last_complaint_ = now;
    spdlog::error("RabbitMQ does not take a message ({}), trying again every second",
                  where(order_.at(number).message));
  }
  retry_timer_.after(retry_pause, [this] {
    std::vector<Number> in_flight;
    for (const auto& [tag, sent] : sent_) in_flight.push_back(sent);
    std::sort(in_flight.begin(), in_flight.end());
    unsent_.clear();
    for (const auto& [waiting, item] : order_)
      if (!std::binary_search(in_flight.begin(), in_flight.end(), waiting)) unsent_.push_back(waiting);
    send();
  });
}

void Publisher::on_channel_closed(int code, const std::string& text) {
  const bool found = sent_.size() == 1;
  const std::size_t suspects = sent_.size();
  if (found) {
    const Number number = sent_.begin()->second;
    sent_.clear();
    answer(number, Status{text + " (AMQP code " + std::to_string(code) + ")"});
    careful_ = careful_ > 0 ? careful_ - 1 : 0;
  } else {
    careful_ = suspects;
  }
  resend_all();
  if (connection_.ready()) up();
}

void Publisher::answer(Number number, Status status) {
  const auto found = order_.find(number);
  if (found == order_.end()) return;
  bytes_ -= found->second.bytes;
  auto done = std::move(found->second.done);
  order_.erase(found);
  if (done) done(std::move(status));
  check_watchers();
}

}  // namespace celeriac::amqp
