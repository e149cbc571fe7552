#include "queues/formatted_broker.hpp"

#include <spdlog/spdlog.h>

namespace celeriac {
namespace {

// Events stay as event_serializer says, which is JSON; requests are signed as tasks are.
constexpr std::string_view event_exchange = "celeryev";

}  // namespace

void FormattedBroker::start(Handlers handlers) {
  auto inner = std::move(handlers.on_deliveries);
  handlers.on_deliveries = [this, inner = std::move(inner)](std::vector<Delivery>&& batch) {
    for (Delivery& delivery : batch) {
      if (!delivery.error.empty()) continue;
      auto opened = format_.open(delivery.message);
      if (opened)
        delivery.message = std::move(*opened);
      else
        delivery.error = opened.error().what;
    }
    inner(std::move(batch));
  };
  broker_->start(std::move(handlers));
}

void FormattedBroker::publish(Message message, Done done) {
  auto sealed = format_.seal(std::move(message));
  if (!sealed) return done(Status{sealed.error().what});
  broker_->publish(std::move(*sealed), std::move(done));
}

Broker::OnMessage FormattedBroker::opened(OnMessage on_message) const {
  return [this, on_message = std::move(on_message)](Message&& message) {
    auto opened = format_.open(std::move(message));
    if (opened) return on_message(std::move(*opened));
    spdlog::error("a broadcast or reply is refused: {}", opened.error().what);
  };
}

void FormattedBroker::subscribe(std::string exchange, std::string pattern, std::string queue,
                                OnMessage on_message) {
  if (exchange != event_exchange) on_message = opened(std::move(on_message));
  broker_->subscribe(std::move(exchange), std::move(pattern), std::move(queue), std::move(on_message));
}

bool FormattedBroker::broadcast(const Message& message) {
  if (message.properties.exchange == event_exchange) return broker_->broadcast(message);
  const auto sealed = format_.seal(message);
  if (sealed) return broker_->broadcast(*sealed);
  spdlog::error("a broadcast is not sent: {}", sealed.error().what);
  return false;
}

void FormattedBroker::open_inbox(std::string queue, std::string exchange, std::string routing_key,
                                 OnMessage on_message, Done ready) {
  broker_->open_inbox(std::move(queue), std::move(exchange), std::move(routing_key),
                      opened(std::move(on_message)), std::move(ready));
}

}  // namespace celeriac
