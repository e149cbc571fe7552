#include "queues/amqp/amqp_broker.hpp"

#include "protocol/time.hpp"
#include "protocol/uuid.hpp"
#include "queues/amqp/consumption.hpp"
#include "queues/amqp/dead_letters.hpp"
#include "queues/amqp/delayed_delivery.hpp"
#include "queues/amqp/pauses.hpp"
#include "queues/amqp/reply_codes.hpp"

#include <spdlog/spdlog.h>
#include <boost/asio/post.hpp>

namespace celeriac::amqp {
class AmqpBroker::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(boost::asio::io_context& io_in, BrokerOptions options_in)
      : io(io_in),
        options(std::move(options_in)),
        publishing(io, options.servers, options.max_retries),
        consuming(io, options.servers, options.max_retries),
        publishing_errands(publishing),
        consuming_errands(consuming),
        publishing_topology(publishing_errands, options.topology),
        consuming_topology(consuming_errands, options.topology),
        publisher(io, publishing, publishing_topology),
        replies(io, publishing, publishing_topology),
        announcer(publishing, publishing_topology),
        subscriptions(io, consuming, consuming_errands, consuming_topology, options.mailboxes),
        consumption(std::make_shared<Consumption>(io, consuming, consuming_errands, consuming_topology,
                                                  publisher,
                                                  Consumption::Options{options.detect_quorum, true})),
        stop_timer(io) {}

  // ---- life ----

  void start(Handlers given) {
    handlers = std::move(given);
    consumption->start({handlers.on_deliveries, handlers.on_taken});
    boost::asio::post(io, [self = shared_from_this()] {
      if (!self->closed && self->state == BrokerState::connecting) self->tell(BrokerState::connecting, {});
    });
    Connection::Handlers events;
    events.on_up = [this] {
      publishing_errands.up();
      publisher.up();
      replies.up();
      announcer.up();
      came_up();
    };
    events.on_down = [this](std::string why) {
      publishing_errands.down();
      publishing_topology.down();
      publisher.down();
      replies.down();
      announcer.down();
      went_down(std::move(why));
    };
    events.on_failed = [this](std::string why) { failed(std::move(why)); };
    events.on_blocked = [](const std::string& why) {
      if (why.empty())
        spdlog::info("RabbitMQ takes messages again");
      else
        spdlog::warn("RabbitMQ takes no messages for now ({}); they wait here", why);
    };
    publishing.start(std::move(events));
  }

  void need_consuming() {
    if (consuming.started() || closed) return;
    Connection::Handlers events;
    events.on_up = [this] {
      consuming_errands.up();
      consumption->prepare();
      subscriptions.up();
      consumption->up();
      came_up();
    };
    events.on_down = [this](std::string why) {
      consuming_errands.down();
      consuming_topology.down();
      subscriptions.down();
      consumption->down(why);
      went_down(std::move(why));
    };
    events.on_failed = [this](std::string why) { failed(std::move(why)); };
    consuming.start(std::move(events));
  }

  void consume(std::vector<std::string> queues) {
    need_consuming();
    if (!std::exchange(listening, true)) {
      subscriptions.when_missed([this] { consumption->look_for_pauses(); });
      subscriptions.subscribe(pause_exchange, "", std::string(pause_exchange) + "." + uuid4(),
                              [this](Message&& notice) { consumption->look_for_pause(notice.body); });
    }
    consumption->consume(std::move(queues));
  }

  void came_up() {
    if (!publishing.ready()) return;
    if (consuming.started() && !consuming.ready()) return;
    if (state != BrokerState::connected) tell(BrokerState::connected, {});
  }

  void went_down(std::string why) {
    // Both connections of one outage are one loss; each failed attempt to connect is told.
    if (state == BrokerState::lost && publishing.ready() != consuming.ready()) return;
    tell(BrokerState::lost, std::move(why));
  }

  void failed(std::string why) {
    publishing_errands.give_up(why);
    consuming_errands.give_up(why);
    publisher.give_up(why);
    replies.give_up(why);
    subscriptions.give_up(why);
    tell(BrokerState::failed, why);
    if (stop_done) stopped(0);
  }

  void tell(BrokerState now, std::string what) {
    state = now;
    if (auto on_state = handlers.on_state) on_state(now, std::move(what));
  }

  void close() {
    closed = true;
    handlers = {};
    consumption->cancel();
    subscriptions.cancel();
    publisher.cancel();
    replies.cancel();
    stop_timer.cancel();
    publishing.close();
    consuming.close();
  }

  void stop(std::function<void(std::size_t)> done) {
    stop_done = std::move(done);
    consumption->pause();
    stop_timer.after(std::chrono::seconds(5), [this] { stopped(consumption->leave()); });
    // What was asked for is done first: publishes, dead letters, acknowledgements.
    auto self = shared_from_this();
    flush([self](const Status&) {
      if (self->closed || !self->stop_done) return;
      const std::size_t count = self->consumption->leave();
      const auto farewell = [self, count] {
        if (self->closed) return;
        self->publishing.end([self, count] { self->stopped(count); });
      };
      if (self->consuming.started())
        self->consuming.end(farewell);
      else
        farewell();
    });
  }

  void stopped(std::size_t count) {
    if (!stop_done) return;
    boost::asio::post(io, [self = shared_from_this(), count] {
      auto done = std::exchange(self->stop_done, nullptr);
      self->close();
      if (done) done(count);
    });
  }

  void flush(Done done) {
    auto self = shared_from_this();
    consumption->when_settled([self, done = std::move(done)] {
      self->publisher.when_done([self, done] {
        self->replies.when_done([self, done] {
          // Later: the answers of publish() are on their way.
          boost::asio::post(self->io, [done] {
            if (done) done(Status{});
          });
        });
      });
    });
  }

  // ---- publishing ----

  void publish(Message message, Done done) {
    const auto later = [this](Done answer) -> Done {
      return [this, answer = std::move(answer)](Status status) {
        // Never inside the call: the caller need not be ready for it.
        boost::asio::post(io, [answer, status] {
          if (answer) answer(status);
        });
      };
    };
    // Transient messages are replies: nobody may be there any more, which is no failure.
    if (message.properties.delivery_mode == 1)
      return replies.publish(std::move(message), later(std::move(done)));
    // A retry carries the exchange and key that it came with, those of kombu's delay among them.
    const std::string queue = publishing_topology.queue_of(message.properties);
    const bool quorum = publishing_topology.is_quorum(queue) || consuming_topology.is_quorum(queue);
    const auto delay = quorum && options.detect_quorum ? delayed::seconds_to_eta(message, unix_now()) : 0;
    if (delay > 0) {
      auto self = shared_from_this();
      return publishing_topology.ensure_delayed(
          queue, [self, delay, queue, message = std::move(message), done = later(std::move(done))]() mutable {
            if (self->publishing_topology.delayed_ready() && self->publishing_topology.knows(queue)) {
              message.properties.exchange = delayed::level_name(delayed::top_level);
              message.properties.routing_key =
                  delayed::routing_key(delay, self->publishing_topology.delayed_key(queue));
            }
            self->publisher.publish(std::move(message), std::move(done));
          });
    }
    publisher.publish(std::move(message), later(std::move(done)));
  }

  // ---- looking ----

  using Infos = std::vector<QueueInfo>;
  struct Inspection {
    Infos infos;
    std::size_t missing = 0;
    std::string problem;
    std::function<void(Expected<Infos>)> done;
  };

  void inspect(std::vector<std::string> queues, std::function<void(Expected<Infos>)> done) {
    auto all = std::make_shared<Inspection>();
    all->done = std::move(done);
    all->missing = queues.size() * 2;
    all->infos.resize(queues.size());
    if (queues.empty()) return boost::asio::post(io, [all] { all->done(all->infos); });
    const auto finish = [all](const Errands::Outcome& outcome) {
      if (!outcome.ok() && outcome.code != not_found) all->problem = outcome.text;
      if (--all->missing > 0) return;
      if (all->problem.empty())
        all->done(std::move(all->infos));
      else
        all->done(unexpected(all->problem));
    };
    for (std::size_t i = 0; i < queues.size(); ++i) {
      QueueInfo& info = all->infos[i];
      info.name = queues[i];
      info.unacked = consumption->held(queues[i]);
      info.delayed = consumption->deferred(queues[i]);
      if (consumption->held_back(queues[i])) info.consumers = 0;  // paused: nobody of ours takes from it
      publishing_errands.look_at_queue(queues[i], [all, i, finish](const Errands::Outcome& outcome) {
        all->infos[i].ready = outcome.messages;
        if (all->infos[i].consumers != 0)
          all->infos[i].consumers = static_cast<std::int64_t>(outcome.consumers);
        finish(outcome);
      });
      publishing_errands.look_at_queue(dead_letter_queue(queues[i]),
                                       [all, i, finish](const Errands::Outcome& outcome) {
                                         all->infos[i].dead = outcome.messages;
                                         finish(outcome);
                                       });
    }
  }

  boost::asio::io_context& io;
  const BrokerOptions options;
  Handlers handlers;
  BrokerState state = BrokerState::connecting;
  Connection publishing, consuming;
  Errands publishing_errands, consuming_errands;
  Topology publishing_topology, consuming_topology;
  Publisher publisher, replies;
  Announcer announcer;
  Subscriptions subscriptions;
  std::shared_ptr<Consumption> consumption;
  Timer stop_timer;
  std::function<void(std::size_t)> stop_done;
  bool closed = false, listening = false;
};

AmqpBroker::AmqpBroker(boost::asio::io_context& io, BrokerOptions options)
    : impl_(std::make_shared<Impl>(io, std::move(options))) {}
AmqpBroker::~AmqpBroker() { impl_->close(); }

void AmqpBroker::start(Handlers handlers) { impl_->start(std::move(handlers)); }
void AmqpBroker::consume(std::vector<std::string> queues) { impl_->consume(std::move(queues)); }
void AmqpBroker::set_window(unsigned window) { impl_->consumption->set_window(window); }
bool AmqpBroker::fixed_window() const { return impl_->consumption->fixed_window(); }
void AmqpBroker::pause() { impl_->consumption->pause(); }
void AmqpBroker::ack(Tag tag) { impl_->consumption->ack(tag); }
void AmqpBroker::reject(Tag tag, Requeue requeue) { impl_->consumption->reject(tag, requeue); }
void AmqpBroker::bury(Tag tag, DeadLetter why) { impl_->consumption->bury(tag, std::move(why)); }
void AmqpBroker::defer(Tag tag, Clock::time_point due) { impl_->consumption->defer(tag, due); }
void AmqpBroker::publish(Message message, Done done) { impl_->publish(std::move(message), std::move(done)); }
void AmqpBroker::flush(Done done) { impl_->flush(std::move(done)); }
void AmqpBroker::ping(Done done) {
  // Deliveries come over the consuming connection, so that is the one to be proven.
  auto& errands = impl_->consuming.started() ? impl_->consuming_errands : impl_->publishing_errands;
  errands.look_at_exchange("amq.direct", [done = std::move(done)](const Errands::Outcome& outcome) {
    done(Status{outcome.text});
  });
}
void AmqpBroker::stop(std::function<void(std::size_t)> done) { impl_->stop(std::move(done)); }
void AmqpBroker::inspect(std::vector<std::string> queues,
                         std::function<void(Expected<std::vector<QueueInfo>>)> done) {
  impl_->inspect(std::move(queues), std::move(done));
}
void AmqpBroker::purge(std::string queue, std::function<void(Expected<std::uint64_t>)> done) {
  impl_->publishing_errands.purge_queue(std::move(queue),
                                        [done = std::move(done)](const Errands::Outcome& outcome) {
                                          if (outcome.code == not_found) return done(0);
                                          if (!outcome.ok()) return done(unexpected(outcome.text));
                                          done(outcome.messages);
                                        });
}
void AmqpBroker::declare(std::string queue, Done done) {
  impl_->publishing_topology.ensure(queue, [done = std::move(done)](const Topology::Queue& result) {
    if (done) done(Status{result.problem});
  });
}
void AmqpBroker::subscribe(std::string exchange, std::string pattern, std::string queue,
                           OnMessage on_message) {
  impl_->need_consuming();
  impl_->subscriptions.subscribe(std::move(exchange), std::move(pattern), std::move(queue),
                                 std::move(on_message));
}
bool AmqpBroker::broadcast(const Message& message) { return impl_->announcer.send(message); }
void AmqpBroker::open_inbox(std::string queue, std::string exchange, std::string routing_key,
                            OnMessage on_message, Done ready) {
  impl_->need_consuming();
  impl_->subscriptions.open_inbox(std::move(queue), std::move(exchange), std::move(routing_key),
                                  std::move(on_message), std::move(ready));
}
void AmqpBroker::close_inbox(std::string queue) { impl_->subscriptions.close_inbox(queue); }
std::string AmqpBroker::display_url() const { return impl_->publishing.server().display; }

}  // namespace celeriac::amqp
