// A ResultBackend remembers what became of a task, in a shape that Celery clients read.
//
// Implementations: redis/redis_backend, postgres/postgres_backend. Each passes
// tests/queues/backend_conformance.hpp. Concurrency and connection loss as in broker.hpp:
// one loop, calls only queue work, writes are batched, and what was queued before a lost
// connection is written after it.
#pragma once

#include "protocol/result.hpp"
#include "queues/broker.hpp"

#include <functional>
#include <optional>
#include <string>

namespace celeriac {

class ResultBackend {
 public:
  virtual ~ResultBackend() = default;

  virtual void start(std::function<void(BrokerState, std::string)> on_state) = 0;

  // `done` runs when the row is durable, or with an error when it never will be (one bad row
  // does not harm its neighbours). On key-value stores a stored SUCCESS is never replaced,
  // which counts as done. Calls for one task keep their order.
  virtual void store(TaskResult result, Done done) = 0;

  // The meta document as a Python client would see it; nullopt when nothing is stored.
  virtual void fetch(std::string task_id, std::function<void(Expected<std::optional<Json>>)> done) = 0;

  // Completes when the task reaches a ready state, or with an error at `timeout`.
  virtual void wait(std::string task_id, std::chrono::milliseconds timeout,
                    std::function<void(Expected<Json>)> done) = 0;

  // False when there was nothing to forget.
  virtual void forget(std::string task_id, std::function<void(Expected<bool>)> done) = 0;

  // Writes everything queued, then disconnects.
  virtual void stop(std::function<void()> done) = 0;

  virtual std::string display_url() const = 0;
};

}  // namespace celeriac
