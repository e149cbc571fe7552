// A Broker that seals what goes out and opens what comes in, by the worker's MessageFormat; everything
// else is the other broker's. What is not believed arrives as a delivery with an error, so it is
// refused and kept as any other bad message is. Same thread rules as the broker within.
#pragma once

#include "queues/broker.hpp"
#include "queues/message_format.hpp"

#include <memory>

namespace celeriac {

class FormattedBroker final : public Broker {
 public:
  FormattedBroker(std::unique_ptr<Broker> broker, MessageFormat format)
      : broker_(std::move(broker)), format_(std::move(format)) {}

  void start(Handlers handlers) override;
  void publish(Message message, Done done) override;
  void subscribe(std::string exchange, std::string pattern, std::string queue, OnMessage on_message) override;
  bool broadcast(const Message& message) override;
  void open_inbox(std::string queue, std::string exchange, std::string routing_key, OnMessage on_message,
                  Done ready) override;

  void consume(std::vector<std::string> queues) override { broker_->consume(std::move(queues)); }
  void set_window(unsigned window) override { broker_->set_window(window); }
  bool fixed_window() const override { return broker_->fixed_window(); }
  void pause() override { broker_->pause(); }
  void ack(Tag tag) override { broker_->ack(tag); }
  void ack_begun(Tag tag) override { broker_->ack_begun(tag); }
  void reject(Tag tag, Requeue requeue) override { broker_->reject(tag, requeue); }
  void release(Tag tag) override { broker_->release(tag); }
  void bury(Tag tag, DeadLetter why) override { broker_->bury(tag, std::move(why)); }
  void defer(Tag tag, Clock::time_point due) override { broker_->defer(tag, due); }
  void flush(Done done) override { broker_->flush(std::move(done)); }
  void ping(Done done) override { broker_->ping(std::move(done)); }
  void stop(std::function<void(std::size_t restored)> done) override { broker_->stop(std::move(done)); }
  void inspect(std::vector<std::string> queues,
               std::function<void(Expected<std::vector<QueueInfo>>)> done) override {
    broker_->inspect(std::move(queues), std::move(done));
  }
  void purge(std::string queue, std::function<void(Expected<std::uint64_t>)> done) override {
    broker_->purge(std::move(queue), std::move(done));
  }
  void declare(std::string queue, Done done) override { broker_->declare(std::move(queue), std::move(done)); }
  bool can_broadcast() const override { return broker_->can_broadcast(); }
  void close_inbox(std::string queue) override { broker_->close_inbox(std::move(queue)); }
  std::string display_url() const override { return broker_->display_url(); }

 private:
  OnMessage opened(OnMessage on_message) const;

  std::unique_ptr<Broker> broker_;
  MessageFormat format_;
};

}  // namespace celeriac
