// A Broker moves messages between queues and us. It knows nothing of tasks, retries or
// results; those belong to worker/.
//
// Implementations: redis/redis_broker, amqp/amqp_broker. Each passes
// tests/queues/broker_conformance.hpp.
//
// Concurrency: single-threaded; every member and every handler runs on the io_context
// the broker was built with. Calls only queue work and return at once; commands of one
// turn of the loop leave in one write.
//
// Connection loss is the broker's own affair: it reconnects by itself, for ever or as
// `broker_connection_max_retries` says, keeps what was queued (acks, publishes) and sends
// it afterwards. Handlers::on_state tells the worker for logs and health.
#pragma once

#include "protocol/error.hpp"
#include "protocol/message.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace celeriac {

using Clock = std::chrono::system_clock;

// Names one unsettled delivery; unique for the life of the broker object.
using Tag = std::uint64_t;

struct Delivery {
  Tag tag = 0;
  std::string queue;
  bool redelivered = false;  // the broker knows that somebody held this message before
  bool deferred = false;     // it comes back from defer(): its time has come
  Message message;           // empty when `error` is set
  std::string error;         // why the transport's own framing could not be read
};

enum class Requeue : bool { no, yes };

// Failure of a whole operation. Empty `what` means it was done.
struct Status {
  std::string what;
  bool ok() const { return what.empty(); }
};
using Done = std::function<void(Status)>;

struct DeadLetter {
  std::string category;       // "undecodable", "unknown_task", "refused", "failed", "poison", "expired"
  std::string cause;          // one line for an operator
  std::string task, task_id;  // when known
  std::string worker;         // node name
  std::optional<std::int64_t> attempts;  // how often the task was begun, this time included; when known
};

struct QueueInfo {
  std::string name;
  std::uint64_t ready = 0;
  std::vector<std::pair<int, std::uint64_t>> by_priority;  // step -> ready
  std::uint64_t unacked = 0;                               // held by consumers, running or waiting for a slot
  std::uint64_t delayed = 0;                               // held until an ETA
  std::uint64_t dead = 0;                                  // dead letters that came from this queue
  std::int64_t consumers = -1;                             // -1: the broker cannot tell
  bool estimated = false;  // unacked and delayed are scaled up from a part that was counted
};

enum class BrokerState { connecting, connected, lost, failed };

class Broker {
 public:
  struct Handlers {
    // A batch as it came; the vector is the receiver's to move from.
    std::function<void(std::vector<Delivery>&&)> on_deliveries;
    // `what` says why for lost and failed (failed: retries used up, or refused credentials).
    std::function<void(BrokerState, std::string what)> on_state;
    // Optional. These deliveries went back to their queue behind our back (we were frozen or cut
    // off for too long) and run elsewhere: forget those not begun; settling them does nothing.
    std::function<void(std::vector<Tag>)> on_taken;
  };

  virtual ~Broker() = default;

  // Begins to connect. Call once. Handlers stay valid until stop() has completed.
  virtual void start(Handlers handlers) = 0;

  // Starts or changes consumption; queues not named any more are cancelled. Queues
  // are declared. At most `window` deliveries are unsettled at once (deferred ones do not
  // count); 0 means unlimited.
  virtual void consume(std::vector<std::string> queues) = 0;
  virtual void set_window(unsigned window) = 0;
  // Each queue has the window for itself and keeps it: it should not follow the pace of the work, and what
  // is given back comes to us again. Known once the queues are.
  virtual bool fixed_window() const { return false; }

  // No further deliveries from queues. Due deferred messages stop too.
  virtual void pause() = 0;

  // Settle exactly once with one of these six.
  virtual void ack(Tag tag) = 0;
  // The same for a message whose task begins now. A millisecond later will do: what the end of a short task
  // sends is waited for, this is not.
  virtual void ack_begun(Tag tag) { ack(tag); }
  virtual void reject(Tag tag, Requeue requeue) = 0;
  // Gives an unstarted message back to the consuming end of its queue: next to be delivered to
  // anybody, and not marked as redelivered, because nothing ran. Unlike reject(), which sends it
  // to the back of the line. Brokers that can tell the two ends apart override this.
  virtual void release(Tag tag) { reject(tag, Requeue::yes); }
  // Takes the message off the queue for good, keeping its exact bytes and `why` where
  // `celeriac dead` and operators can find them. Atomic with the ack on Redis.
  virtual void bury(Tag tag, DeadLetter why) = 0;
  // Gives the message to nobody until `due`, then delivers it again here with a new Delivery
  // of the same tag and `deferred` set. Survives our death: it returns to the queue.
  virtual void defer(Tag tag, Clock::time_point due) = 0;

  // Publishes to the default exchange: routing_key is the queue's name; an exchange named in
  // message.properties is honoured. `done` runs once the broker is responsible.
  virtual void publish(Message message, Done done) = 0;

  // Runs `done` after everything asked for before it has been accepted by the server.
  virtual void flush(Done done) = 0;

  // Gives back every unsettled and deferred message to the consuming end of its queue, then
  // disconnects. `done` gets how many were given back.
  virtual void stop(std::function<void(std::size_t restored)> done) = 0;

  // Asks the server for a sign of life, at no cost to it: `done` runs with its answer, which after a loss
  // comes over the next connection. A connection that is open proves nothing.
  virtual void ping(Done done) = 0;

  // Inspection, for the CLI; usable without consume().
  virtual void inspect(std::vector<std::string> queues,
                       std::function<void(Expected<std::vector<QueueInfo>>)> done) = 0;
  // Drops what is ready in the queue; unsettled deliveries are not touched.
  virtual void purge(std::string queue, std::function<void(Expected<std::uint64_t>)> done) = 0;
  virtual void declare(std::string queue, Done done) = 0;

  // Broadcasts (events, remote control): whoever is connected gets a copy, nobody keeps one. A
  // transport that has none leaves these as they are.
  using OnMessage = std::function<void(Message&&)>;
  virtual bool can_broadcast() const { return false; }
  // From now on, over every reconnect. `pattern` is matched against routing keys: "" is the empty key,
  // "#" any text. `queue` is the name under which others see the subscription; it is gone after stop().
  virtual void subscribe(std::string exchange, std::string pattern, std::string queue, OnMessage on_message) {
    (void)exchange, (void)pattern, (void)queue, (void)on_message;
  }
  // To the exchange and routing key in the properties. False: there is no connection, nothing was sent.
  virtual bool broadcast(const Message& message) {
    (void)message;
    return false;
  }
  // A private queue bound to a direct exchange, for replies: messages are taken as they come and are not
  // settled. `ready` runs when the binding is there. close_inbox() removes queue and binding.
  virtual void open_inbox(std::string queue, std::string exchange, std::string routing_key,
                          OnMessage on_message, Done ready) {
    (void)queue, (void)exchange, (void)routing_key, (void)on_message;
    ready(Status{"this broker has no broadcasts"});
  }
  virtual void close_inbox(std::string queue) { (void)queue; }

  // The URL without its password, for logs.
  virtual std::string display_url() const = 0;
};

}  // namespace celeriac
