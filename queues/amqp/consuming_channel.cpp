#include "queues/amqp/consuming_channel.hpp"

#include "queues/amqp/field_table.hpp"

#include <algorithm>

namespace celeriac::amqp {

ConsumingChannel::ConsumingChannel(Connection& connection, bool shared, Handlers handlers)
    : connection_(connection), shared_(shared), handlers_(std::move(handlers)) {}

Session* ConsumingChannel::session() { return id_ && connection_.ready() ? &connection_.session() : nullptr; }

bool ConsumingChannel::open() {
  id_ = connection_.session().open_channel(*this);
  return id_.has_value();
}

void ConsumingChannel::close() {
  if (auto* to = session()) to->close_channel(*id_);
  id_.reset();
}

// ---- consumers ----

void ConsumingChannel::consume(const std::string& queue) {
  if (retired_ || consumes(queue)) return;
  apply_prefetch();
  start_consumer(queue);
}

void ConsumingChannel::start_consumer(const std::string& queue) {
  auto* to = session();
  if (!to) return;
  const std::string tag = "celeriac" + std::to_string(++last_consumer_);
  by_queue_[queue] = tag;
  by_tag_[tag] = queue;
  starting_.insert(tag);
  amqp_basic_consume_t consume{};
  consume.queue = bytes(queue);
  consume.consumer_tag = bytes(tag);
  to->call(*id_, AMQP_BASIC_CONSUME_METHOD, &consume, AMQP_BASIC_CONSUME_OK_METHOD,
           [this, tag](const amqp_method_t&) { started(tag); });
}

void ConsumingChannel::started(const std::string& consumer_tag) {
  starting_.erase(consumer_tag);
  if (unwanted_.erase(consumer_tag) != 0)
    stop_consumer(consumer_tag);
  else if (starting_.empty() && !by_queue_.empty())
    apply_prefetch();  // what was wanted meanwhile
}

// RabbitMQ's channel dies, and the connection with it (541), when a consumer of a quorum queue is cancelled
// that it has not confirmed.
void ConsumingChannel::stop_consumer(const std::string& consumer_tag) {
  auto* to = session();
  if (!to) return;
  if (starting_.count(consumer_tag) != 0) {
    unwanted_.insert(consumer_tag);
    return;
  }
  amqp_basic_cancel_t cancel{};
  cancel.consumer_tag = bytes(consumer_tag);
  to->call(*id_, AMQP_BASIC_CANCEL_METHOD, &cancel, AMQP_BASIC_CANCEL_OK_METHOD,
           [this, consumer_tag](const amqp_method_t&) { by_tag_.erase(consumer_tag); });
}

void ConsumingChannel::cancel(const std::string& queue) {
  const auto found = by_queue_.find(queue);
  if (found == by_queue_.end()) return;
  stop_consumer(found->second);
  by_queue_.erase(found);
}

void ConsumingChannel::cancel_all() {
  for (const auto& [queue, tag] : by_queue_) stop_consumer(tag);
  by_queue_.clear();
}

std::vector<std::string> ConsumingChannel::queues() const {
  std::vector<std::string> names;
  for (const auto& [queue, tag] : by_queue_) names.push_back(queue);
  return names;
}

void ConsumingChannel::retire() {
  retired_ = true;
  cancel_all();
}

// ---- prefetch ----

void ConsumingChannel::set_prefetch(unsigned window) {
  window_ = window;
  if (!by_queue_.empty()) apply_prefetch();
}

void ConsumingChannel::apply_prefetch() {
  auto* to = session();
  if (!to) return;
  unsigned wanted = window_;
  if (shared_) {
    if (window_ != 0) wanted = std::min<unsigned>(window_ + static_cast<unsigned>(deferred), most_prefetch);
    if (prefetch_sent_ && sent_prefetch_ == wanted) return;
  } else if (prefetch_sent_) {
    if (!starting_.empty()) return;  // looked at again when they have started
    // New consumers cost a round trip and reshuffle who gets what: only when it matters.
    const std::size_t waiting = deferred > deferred_before_ ? deferred - deferred_before_ : 0;
    const bool grown = sent_prefetch_ != 0 && (wanted == 0 || wanted > sent_prefetch_);
    const bool shrunk = wanted != 0 && (sent_prefetch_ == 0 || wanted * 2 <= sent_prefetch_);
    if (!grown && !shrunk && (wanted == 0 || waiting * 2 < wanted)) return;
  }
  prefetch_sent_ = true;
  sent_prefetch_ = std::min(wanted, most_prefetch);
  amqp_basic_qos_t qos{};
  qos.prefetch_count = static_cast<std::uint16_t>(sent_prefetch_);
  qos.global = shared_;
  to->call(*id_, AMQP_BASIC_QOS_METHOD, &qos, AMQP_BASIC_QOS_OK_METHOD, nullptr);
  if (shared_) return;
  deferred_before_ = deferred;
  for (const auto& [queue, tag] : std::map(by_queue_)) {
    stop_consumer(tag);
    start_consumer(queue);
  }
}

// ---- settling ----

void ConsumingChannel::ack(std::uint64_t delivery, Tag tag, std::shared_ptr<const Message> message) {
  acks_.ack(delivery);
  unproven_.push_back({tag, std::move(message)});
}

void ConsumingChannel::reject(std::uint64_t delivery, bool requeue) {
  auto* to = session();
  acks_.settled(delivery);
  if (!to) return;
  amqp_basic_reject_t reject{};
  reject.delivery_tag = delivery;
  reject.requeue = requeue;
  to->send(*id_, AMQP_BASIC_REJECT_METHOD, &reject);
}

void ConsumingChannel::settle() {
  auto* to = session();
  if (!to) return;
  for (const auto& ack : acks_.take()) {
    amqp_basic_ack_t method{};
    method.delivery_tag = ack.tag;
    method.multiple = ack.multiple;
    to->send(*id_, AMQP_BASIC_ACK_METHOD, &method);
  }
  if (proving_ || unproven_.empty()) return;
  proving_ = true;
  amqp_channel_flow_t flow{};
  flow.active = true;
  to->call(*id_, AMQP_CHANNEL_FLOW_METHOD, &flow, AMQP_CHANNEL_FLOW_OK_METHOD,
           [this, proven = unproven_.size()](const amqp_method_t&) {
             proving_ = false;
             unproven_.erase(unproven_.begin(), unproven_.begin() + static_cast<std::ptrdiff_t>(proven));
             handlers_.on_proven();
           });
}

// ---- in ----

void ConsumingChannel::on_delivery(Incoming&& incoming) {
  acks_.delivered(incoming.tag);
  const auto found = by_tag_.find(incoming.consumer_tag);
  handlers_.on_delivery(*this, found == by_tag_.end() ? std::string() : found->second, std::move(incoming));
}

void ConsumingChannel::on_consumer_cancelled(const std::string& consumer_tag) {
  const auto found = by_tag_.find(consumer_tag);
  if (found == by_tag_.end()) return;
  const std::string queue = found->second;
  by_tag_.erase(found);
  if (const auto consumer = by_queue_.find(queue);
      consumer != by_queue_.end() && consumer->second == consumer_tag)
    by_queue_.erase(consumer);
  handlers_.on_cancelled(*this, queue);
}

void ConsumingChannel::on_channel_closed(int code, const std::string& text) {
  id_.reset();
  starting_.clear();
  unwanted_.clear();
  handlers_.on_closed(*this, code, text);
}

}  // namespace celeriac::amqp
