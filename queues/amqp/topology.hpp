// Queues and exchanges as Celery declares them, made when they are missing and taken as they are when
// somebody declared them otherwise: a queue of another kind is a warning, never the end of the worker.
#pragma once

#include "queues/amqp/errands.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace celeriac::amqp {

// A queue that task_queues describes.
struct NamedQueue {
  std::string exchange, exchange_type = "direct", routing_key;
  Json arguments = Json::object();
};

struct TopologyOptions {
  Json queue_arguments = Json::object();  // of all other task queues: x-max-priority, x-queue-type
  std::map<std::string, NamedQueue> named;
  std::string delayed_queue_type = "quorum";  // of kombu's delayed delivery
};

class Topology {
 public:
  // A queue that is ready for use.
  struct Queue {
    std::string problem;  // why it cannot be used; empty: it can
    bool quorum = false;
  };
  using Done = std::function<void(const Queue&)>;

  Topology(Errands& errands, TopologyOptions options) : errands_(errands), options_(std::move(options)) {}

  void down() { known_.clear(), exchanges_.clear(), delayed_ = false; }

  // The queue, its exchange (a direct one of its name where task_queues says nothing else) and their binding.
  // Known queues answer at once.
  void ensure(const std::string& queue, Done done);
  bool knows(const std::string& queue) const;
  bool is_quorum(const std::string& queue) const;  // of one that is not known: as task_queues says
  bool any_quorum() const { return any_quorum_; }
  void forget(const std::string& queue) { known_.erase(queue); }

  // Where a message is published to. Celery sends to the exchange of a queue that has not a direct one, so
  // that others bound to it get their copy, and straight to any other queue.
  struct Address {
    const std::string& exchange;
    const std::string& routing_key;
  };
  Address address(const Properties& to) const;
  // The queue that a message with this exchange and key is meant for, or was delivered from.
  std::string queue_of(const Properties& to) const;
  // The key under which delayed delivery finds the queue.
  const std::string& delayed_key(const std::string& queue) const;

  // One of Celery's broadcast or reply exchanges; what it is follows from its name.
  void ensure_exchange(const std::string& exchange, std::function<void()> done);
  bool knows_exchange(const std::string& exchange) const { return exchanges_.count(exchange) != 0; }

  // kombu's exchanges and queues for delayed delivery, and the way from them into `queue`.
  void ensure_delayed(const std::string& queue, std::function<void()> done);
  void declare_delayed(std::function<void()> done);  // without the way
  bool delayed_ready() const { return delayed_; }

 private:
  const NamedQueue* named(const std::string& queue) const;
  const NamedQueue* behind_exchange(const std::string& queue) const;  // named, and its exchange not direct
  const Json& arguments(const std::string& queue) const;
  void bind(const std::string& queue, bool quorum);
  void adopt(const std::string& queue, const std::string& refusal);
  void finish(const std::string& queue, Queue result);

  Errands& errands_;
  TopologyOptions options_;
  std::map<std::string, Queue> known_;
  std::map<std::string, std::vector<Done>> asked_;  // being declared
  std::map<std::string, bool> exchanges_;
  std::map<std::string, std::string> told_;  // warnings given, by queue
  bool any_quorum_ = false;
  bool delayed_ = false;
  std::vector<std::function<void()>> awaiting_delayed_;
};

// What Celery's exchanges and ours are, by name: "reply.celery.pidbox" is direct, "celery.pidbox" and
// pause_exchange fanout, "celeryev" topic.
ExchangeSpec broadcast_exchange(const std::string& name);

}  // namespace celeriac::amqp
