// A ResultBackend remembers what became of a task, in a shape that Celery clients read.
//
// Implementations: redis/redis_backend, postgres/postgres_backend. Each passes
// tests/queues/backend_conformance.hpp. Concurrency and connection loss as in broker.hpp:
// one loop, calls only queue work, writes are batched, and what was queued before a lost
// connection is written after it.
#pragma once

#include "protocol/result.hpp"
#include "queues/broker.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace celeriac {

// The end of one task of a chord's header.
struct ChordPart {
  std::string group_id, task_id;
  std::optional<std::int64_t> index;  // its place among the parts
  std::string state;                  // SUCCESS, FAILURE or REVOKED
  std::string result = "null";        // JSON text: the value, or the exception
};

// Every part of a chord has ended.
struct ChordParts {
  std::optional<Json> group;         // the result tuple that was saved because results are nested; else
  std::vector<std::string> members;  // each part in order, JSON text: [1, id, state, result]
};

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

  // Chords. A store that counts_chords() tells the task that ends last that it is the last; for other stores
  // the celery.chord_unlock task asks again and again. Where it does not, these fail.
  virtual bool counts_chords() const { return false; }
  // How many parts there will be; until it is known, no part is the last.
  virtual void set_chord_size(std::string, std::int64_t, Done done) { done({no_chords}); }
  virtual void grow_chord(std::string, Done done) { done({no_chords}); }  // one part more than the size says
  virtual void save_group(std::string, Json, Done done) { done({no_chords}); }
  // Adds a part; the same task counts once, however often it ends. Answers the parts when all are there.
  virtual void add_chord_part(ChordPart, std::function<void(Expected<std::optional<ChordParts>>)> done) {
    done(unexpected(no_chords));
  }
  virtual void forget_chord(std::string, Done done) { done({no_chords}); }

  // Deletes results older than result_expires; for stores that do not do that by themselves.
  // Answers how many.
  virtual void cleanup(std::function<void(Expected<std::uint64_t>)> done) { done(0); }

  // Writes everything queued, then disconnects.
  virtual void stop(std::function<void()> done) = 0;

  virtual std::string display_url() const = 0;

 protected:
  static constexpr const char* no_chords = "this result store does not count the parts of chords";
};

}  // namespace celeriac
