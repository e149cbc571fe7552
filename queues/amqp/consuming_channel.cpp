#include "queues/amqp/consuming_channel.hpp"

#include "queues/amqp/field_table.hpp"

#include <algorithm>

namespace celeriac::amqp {

ConsumingChannel::ConsumingChannel(Connection& connection, std::optional<unsigned> fixed_prefetch,
                                   Handlers handlers)
    : connection_(connection),
      fixed_(fixed_prefetch.has_value()),
      handlers_(std::move(handlers)),
      window_(fixed_prefetch.value_or(0)) {}

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
  auto* to = session();
  if (!to || retired_ || consumes(queue)) return;
  apply_prefetch();
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
  if (unwanted_.erase(consumer_tag) != 0) stop_consumer(consumer_tag);
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

void ConsumingChannel::set_window(unsigned window) {
  if (fixed_) return;
  window_ = window;
  if (!by_queue_.empty()) apply_prefetch();
}

void ConsumingChannel::apply_prefetch() {
  auto* to = session();
  if (!to || (fixed_ && prefetch_)) return;
  unsigned wanted = window_;
  if (!fixed_ && window_ != 0) wanted += static_cast<unsigned>(deferred);
  wanted = std::min(wanted, most_prefetch);
  if (prefetch_ == wanted) return;
  prefetch_ = wanted;
  amqp_basic_qos_t qos{};
  qos.prefetch_count = static_cast<std::uint16_t>(wanted);
  qos.global = !fixed_;
  to->call(*id_, AMQP_BASIC_QOS_METHOD, &qos, AMQP_BASIC_QOS_OK_METHOD, nullptr);
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
