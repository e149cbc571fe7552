#include "queues/amqp/topology.hpp"

#include "queues/amqp/delayed_delivery.hpp"
#include "queues/amqp/pauses.hpp"
#include "queues/amqp/reply_codes.hpp"

#include <spdlog/spdlog.h>
#include <memory>

namespace celeriac::amqp {
namespace {

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

bool says_quorum(const std::string& refusal) {
  return refusal.find("current is the value 'quorum'") != refusal.npos;
}

bool makes_quorum(const Json& queue_arguments) {
  const auto type = queue_arguments.find("x-queue-type");
  return type != queue_arguments.end() && *type == "quorum";
}

}  // namespace

ExchangeSpec broadcast_exchange(const std::string& name) {
  ExchangeSpec spec;
  spec.name = name;
  spec.durable = false;
  if (name.rfind("reply.", 0) == 0) {
    spec.type = "direct";
  } else if (ends_with(name, ".pidbox") || name == pause_exchange) {
    spec.type = "fanout";
  } else {
    spec.type = "topic";
    spec.durable = true;
  }
  return spec;
}

bool Topology::knows(const std::string& queue) const { return known_.count(queue) != 0; }

bool Topology::is_quorum(const std::string& queue) const {
  const auto found = known_.find(queue);
  return found != known_.end() ? found->second.quorum : named(queue) && makes_quorum(arguments(queue));
}

const NamedQueue* Topology::named(const std::string& queue) const {
  const auto found = options_.named.find(queue);
  return found == options_.named.end() ? nullptr : &found->second;
}

const NamedQueue* Topology::behind_exchange(const std::string& queue) const {
  const NamedQueue* found = named(queue);
  return found && found->exchange_type != "direct" ? found : nullptr;
}

const Json& Topology::arguments(const std::string& queue) const {
  const NamedQueue* found = named(queue);
  return found ? found->arguments : options_.queue_arguments;
}

Topology::Address Topology::address(const Properties& to) const {
  if (to.exchange.empty())
    if (const NamedQueue* queue = behind_exchange(to.routing_key))
      return {queue->exchange, queue->routing_key};
  return {to.exchange, to.routing_key};
}

std::string Topology::queue_of(const Properties& to) const {
  const auto key = delayed::plain_key(to.routing_key);
  if (to.exchange.empty()) return std::string(key);
  for (const auto& [name, queue] : options_.named)
    if (queue.routing_key == key && (to.exchange == queue.exchange || key.size() < to.routing_key.size()))
      return name;
  return std::string(key);
}

const std::string& Topology::delayed_key(const std::string& queue) const {
  const NamedQueue* found = behind_exchange(queue);
  return found ? found->routing_key : queue;
}

void Topology::ensure(const std::string& queue, Done done) {
  if (const auto found = known_.find(queue); found != known_.end()) {
    if (done) done(found->second);
    return;
  }
  auto& asked = asked_[queue];
  asked.push_back(std::move(done));
  if (asked.size() > 1) return;
  QueueSpec spec;
  spec.name = queue;
  spec.arguments = arguments(queue);
  errands_.declare_queue(std::move(spec), [this, queue](const Errands::Outcome& outcome) {
    if (outcome.code == precondition_failed || outcome.code == access_refused)
      return adopt(queue, outcome.text);
    if (!outcome.ok()) return finish(queue, {outcome.text, false});
    bind(queue, makes_quorum(arguments(queue)));
  });
}

// Python's producers may publish to an exchange of the queue's name, where none was given another. Where
// somebody made one of another type, theirs stays.
void Topology::bind(const std::string& queue, bool quorum) {
  const NamedQueue* given = named(queue);
  const auto level = given ? spdlog::level::warn : spdlog::level::debug;
  ExchangeSpec exchange;
  exchange.name = given ? given->exchange : queue;
  if (given) exchange.type = given->exchange_type;
  const Binding binding = {queue, exchange.name, given ? given->routing_key : queue};
  errands_.declare_exchange(
      std::move(exchange), [this, queue, quorum, level, binding](const Errands::Outcome& declared) {
        if (!declared.ok()) spdlog::log(level, "exchange '{}': {}", binding.source, declared.text);
        if (declared.code == -1) return finish(queue, {declared.text, quorum});
        errands_.bind_queue(binding, [this, queue, quorum, level](const Errands::Outcome& bound) {
          if (!bound.ok()) spdlog::log(level, "binding of '{}': {}", queue, bound.text);
          finish(queue, {{}, quorum});
        });
      });
}

void Topology::adopt(const std::string& queue, const std::string& refusal) {
  errands_.look_at_queue(queue, [this, queue, refusal](const Errands::Outcome& outcome) {
    if (!outcome.ok()) return finish(queue, {refusal, false});
    auto& told = told_[queue];
    if (told != refusal)
      spdlog::warn("queue '{}' was declared otherwise by somebody else and is used as it is: {}", queue,
                   refusal);
    told = refusal;
    if (named(queue)) return bind(queue, says_quorum(refusal));
    finish(queue, {{}, says_quorum(refusal)});
  });
}

void Topology::finish(const std::string& queue, Queue result) {
  if (result.quorum) any_quorum_ = true;
  if (result.problem.empty()) known_[queue] = result;
  auto asked = std::move(asked_[queue]);
  asked_.erase(queue);
  for (auto& done : asked)
    if (done) done(result);
}

void Topology::ensure_exchange(const std::string& exchange, std::function<void()> done) {
  if (knows_exchange(exchange)) return done();
  errands_.declare_exchange(broadcast_exchange(exchange),
                            [this, exchange, done](const Errands::Outcome& outcome) {
                              // 406: somebody made it with other properties; it is there.
                              if (!outcome.ok()) spdlog::debug("exchange '{}': {}", exchange, outcome.text);
                              if (outcome.code != -1) exchanges_[exchange] = true;
                              done();
                            });
}

void Topology::ensure_delayed(const std::string& queue, std::function<void()> done) {
  auto lead_to = [this, queue, done] {
    const auto bound = [queue, done](const Errands::Outcome& outcome) {
      if (!outcome.ok())
        spdlog::error("delayed delivery into '{}' cannot be set up: {}", queue, outcome.text);
      if (done) done();
    };
    const NamedQueue* given = behind_exchange(queue);
    if (!given)
      return errands_.bind_queue({queue, std::string(delayed::delivery_exchange), "#." + queue}, bound);
    // As Celery does it: the delayed message is delivered to all queues of the exchange that take its key.
    const auto& key = given->routing_key;
    const std::string any = key.starts_with('#') ? key : "#." + key;
    errands_.bind_exchange({given->exchange, std::string(delayed::delivery_exchange), any}, nullptr);
    errands_.bind_queue({queue, given->exchange, any}, bound);
  };
  ensure(queue, [this, lead_to = std::move(lead_to), done](const Queue& result) {
    if (!result.problem.empty()) {  // told by whoever needs the queue
      if (done) done();
    } else if (delayed_) {
      lead_to();
    } else {
      declare_delayed(lead_to);
    }
  });
}

void Topology::declare_delayed(std::function<void()> done) {
  awaiting_delayed_.push_back(std::move(done));
  if (awaiting_delayed_.size() > 1) return;
  // Errands go in order, so only the last one needs to be awaited.
  auto refused = std::make_shared<std::string>();
  const auto note = [refused](const Errands::Outcome& outcome) {
    if (!outcome.ok() && outcome.code != precondition_failed) *refused = outcome.text;
  };
  ExchangeSpec topic;
  topic.type = "topic";
  topic.name = delayed::delivery_exchange;
  errands_.declare_exchange(topic, note);
  for (int level = 0; level <= delayed::top_level; ++level) {
    topic.name = delayed::level_name(level);
    errands_.declare_exchange(topic, note);
    QueueSpec queue;
    queue.name = topic.name;
    queue.arguments = delayed::queue_arguments(level, options_.delayed_queue_type);
    errands_.declare_queue(std::move(queue), note);
    errands_.bind_queue({topic.name, topic.name, delayed::binding_key(level, true)}, note);
    errands_.bind_exchange(
        {delayed::next_exchange(level), topic.name, delayed::binding_key(level, false)},
        level < delayed::top_level ? Errands::Done(note)
                                   : [this, note, refused](const Errands::Outcome& outcome) {
                                       note(outcome);
                                       delayed_ = refused->empty();
                                       if (!delayed_)
                                         spdlog::error("delayed delivery cannot be set up: {}", *refused);
                                       for (auto& next : std::exchange(awaiting_delayed_, {})) next();
                                     });
  }
}

}  // namespace celeriac::amqp
