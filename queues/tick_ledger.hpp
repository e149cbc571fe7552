// Where it is written when each entry of a beat schedule has last run, and the one place that sends its
// tasks.
//
// Several beats may share a ledger: commit() moves an entry from the record a beat has seen to the next one
// and sends the task, both or neither, so of all who try only one succeeds. No beat is the leader, and none
// has to be replaced.
//
// Implementations: redis/redis_ticks, file_ticks. Each passes tests/queues/tick_conformance.hpp.
// Concurrency: as Broker (broker.hpp).
#pragma once

#include "config/settings.hpp"
#include "queues/broker.hpp"

#include <boost/asio/io_context.hpp>
#include <map>
#include <memory>

namespace celeriac {

struct TickRecord {
  double last_run_at = 0;  // Unix seconds; of an entry that never ran: when it was first seen
  std::uint64_t total_run_count = 0;
  std::string by;  // the node that sent it last; no spaces

  // "1763721076.123456 12 beat@host"
  std::string text() const;
  static Expected<TickRecord> read(std::string_view text);
};
using TickRecords = std::map<std::string, TickRecord>;  // by the entry's name

class TickLedger {
 public:
  using OnRecords = std::function<void(Expected<TickRecords>)>;

  virtual ~TickLedger() = default;
  // `connected` when it can be used (also again, after a loss); `connecting` with a text when another
  // process keeps it.
  virtual void start(std::function<void(BrokerState, std::string what)> on_state) = 0;

  // Every record there is. Needs no `connected`: it waits for the server, and not for another process.
  virtual void read(OnRecords done) = 0;
  // The same, after each of `names` that has no record has got this one.
  virtual void enroll(std::vector<std::string> names, TickRecord fresh, OnRecords done) = 0;
  // Sends `message` and writes `next`, if the record is still `seen`. False: it is another one, nothing was
  // sent. Repeats itself over a lost connection without sending twice.
  virtual void commit(std::string name, TickRecord seen, TickRecord next, Message message,
                      std::function<void(Expected<bool>)> done) = 0;

  virtual void stop(std::function<void()> done) = 0;
  // For people: "redis://host:6379/0 celerybeat-schedule", or a path.
  virtual std::string display() const = 0;
};

// By the scheme of broker_url: in the broker where it can keep it, otherwise in a file
// (beat_schedule_filename).
Expected<std::unique_ptr<TickLedger>> make_tick_ledger(boost::asio::io_context& io, const Settings& settings);

}  // namespace celeriac
